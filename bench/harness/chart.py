"""SVG bar charts: one image a placement, one panel a row, one bar a program.

A bar is R (or, without a floor, the measured number), its whisker spans the quartiles of the rounds, a
diamond is G. Colours are Okabe and Ito's, which colour-blind readers tell apart."""
import html

COLOURS = {"floor": "#999999", "mobius": "#0072B2", "peer": "#E69F00"}
LEGEND = {"floor": "floor: raw liburing", "mobius": "mobius", "peer": "other libraries"}
PLACES = {"alone": "", "same": ", server and generator on one core", "split": ", a core each",
          "both": ", on two cores"}
INK, GRID, MARK = "#222222", "#dddddd", "#000000"

PANEL_WIDTH, LABEL_WIDTH, VALUE_WIDTH = 470, 165, 62
BAR, GAP, PANEL_HEAD, PANEL_FOOT, HEAD, FOOT = 15, 5, 30, 42, 92, 26
COLUMNS = 2
# A bar may be this much longer than the floor's; beyond, it is cut and says how long it is.
CUT = 2.2


def text(x, y, content, size=12, anchor="start", weight="normal", colour=INK):
    return (f'<text x="{x:.1f}" y="{y:.1f}" font-size="{size}" text-anchor="{anchor}" '
            f'font-weight="{weight}" fill="{colour}">{html.escape(str(content))}</text>')


def line(x1, y1, x2, y2, colour=INK, width=1.0, dash=""):
    return (f'<line x1="{x1:.1f}" y1="{y1:.1f}" x2="{x2:.1f}" y2="{y2:.1f}" stroke="{colour}" '
            f'stroke-width="{width}"{f" stroke-dasharray={chr(34)}{dash}{chr(34)}" if dash else ""}/>')


def diamond(x, y, radius=4.0):
    points = " ".join(f"{px:.1f},{py:.1f}" for px, py in
                      ((x, y - radius), (x + radius, y), (x, y + radius), (x - radius, y)))
    return f'<polygon points="{points}" fill="white" stroke="{MARK}" stroke-width="1.2"/>'


class Axis:
    """Maps values to pixels from 0 to a limit."""

    def __init__(self, values, left, width, cut):
        self.limit = max(values) * 1.08
        if cut:
            self.limit = min(max(1.3, self.limit), cut)
        self.left, self.width = left, width
        step = 10.0 ** len(str(int(self.limit))) / 10
        while self.limit / step < 4:
            step /= 2
        self.ticks = [step * number for number in range(int(self.limit / step) + 1)]

    def at(self, value):
        return self.left + self.width * min(value, self.limit) / self.limit


def number(value):
    if value >= 100:
        return f"{value:,.0f}".replace(",", " ")
    return f"{value:.2f}" if value < 10 else f"{value:.1f}"


def bar_of(entry, family, rated):
    return entry.get("r") if rated else entry["metrics"].get(family.chart_of or family.ratio_of)


def is_rated(family, entries):
    return family.chart_of is None and any("r" in entry for entry in entries)


def bar(entry, value, axis, y, rated):
    """One program: its name, its bar with the whisker, the diamond of G, and the number."""
    middle, cut = y + BAR / 2, value["median"] > axis.limit
    right = axis.at(value["median"])
    parts = [text(axis.left - 8, middle + 4, entry["program"], 11.5, "end",
                  "bold" if entry["group"] == "mobius" else "normal"),
             f'<rect x="{axis.left:.1f}" y="{y:.1f}" width="{right - axis.left:.1f}" height="{BAR}" '
             f'fill="{COLOURS[entry["group"]]}"/>']
    if cut:
        parts.append(f'<path d="M{right - 12:.1f},{y - 1:.1f} l4,{BAR / 2 + 1:.1f} l-4,{BAR / 2 + 1:.1f} l6,0 '
                     f'l4,{-BAR / 2 - 1:.1f} l-4,{-BAR / 2 - 1:.1f} z" fill="white"/>')
    else:
        low, high = axis.at(value["low"]), axis.at(value["high"])
        parts.append(line(low, middle, high, middle, INK, 1.4))
        parts += [line(end, middle - 4, end, middle + 4, INK, 1.4) for end in (low, high)]
    with_g = rated and "g" in entry
    if with_g and entry["g"]["median"] <= axis.limit:
        parts.append(diamond(axis.at(entry["g"]["median"]), middle))
    unsteady = "~" if value["spread"] > 0.15 else ""
    edge = right if cut else max(right, axis.at(value["high"]),
                                 axis.at(entry["g"]["median"]) + 4 if with_g else 0)
    parts.append(text(edge + 5, middle + 4, unsteady + number(value["median"]), 11))
    return "\n".join(parts)


def panel(row, entries, family, rated, left, top):
    """One row's bars over a common axis; returns the SVG and the height used."""
    values = [(entry, bar_of(entry, family, rated)) for entry in entries]
    values = [(entry, value) for entry, value in values if value]
    width = PANEL_WIDTH - LABEL_WIDTH - VALUE_WIDTH
    axis = Axis([value["high"] for _, value in values], left + LABEL_WIDTH, width, CUT if rated else None)
    bottom = top + PANEL_HEAD + len(values) * (BAR + GAP)
    parts = [text(left + LABEL_WIDTH, top + 18, row, 13, weight="bold")]
    for tick in axis.ticks:
        x = axis.at(tick)
        parts.append(line(x, top + PANEL_HEAD - 4, x, bottom, GRID))
        parts.append(text(x, bottom + 14, f"{tick:g}", 10.5, "middle"))
    for position, (entry, value) in enumerate(values):
        parts.append(bar(entry, value, axis, top + PANEL_HEAD + position * (BAR + GAP), rated))
    if rated:
        x = axis.at(1)
        parts.append(line(x, top + PANEL_HEAD - 4, x, bottom, INK, 1.0, "4 3"))
    metric = family.metric(family.ratio_of if rated else family.chart_of or family.ratio_of)
    unit = f" ({metric.unit}/{family.op})" if metric.unit else ""
    label = f"{metric.title} per {family.op}, relative to the floor" if rated else metric.title + unit
    parts.append(text(axis.left + width / 2, bottom + 29, label, 11, "middle"))
    return "\n".join(parts), bottom + PANEL_FOOT - top


def legend(groups, rated, with_g, x, y):
    parts = []
    for group in groups:
        parts.append(f'<rect x="{x}" y="{y - 10}" width="12" height="12" fill="{COLOURS[group]}"/>')
        parts.append(text(x + 17, y, LEGEND[group], 11.5))
        x += 40 + 6.3 * len(LEGEND[group])
    parts += [line(x, y - 4, x + 18, y - 4, INK, 1.4), line(x, y - 8, x, y, INK, 1.4),
              line(x + 18, y - 8, x + 18, y, INK, 1.4), text(x + 24, y, "quartiles of the rounds", 11.5)]
    x += 172
    if rated and with_g:
        parts += [diamond(x + 5, y - 4), text(x + 15, y, "G: in units of the generator's cost", 11.5)]
    return "\n".join(parts)


def chart(family, placement, entries, machine):
    rated = is_rated(family, entries)
    rows = list(dict.fromkeys(entry["row"] for entry in entries))
    columns = min(COLUMNS, len(rows))
    tops, body = [HEAD] * columns, []
    for row in rows:
        column = min(range(columns), key=lambda index: tops[index])
        drawn, height = panel(row, [entry for entry in entries if entry["row"] == row], family, rated,
                              20 + column * (PANEL_WIDTH + 20), tops[column])
        body.append(drawn)
        tops[column] += height
    width, height = max(680, 20 + columns * (PANEL_WIDTH + 20)), max(tops) + FOOT
    where = PLACES.get(placement, f", {placement}")
    groups = [group for group in COLOURS if any(entry["group"] == group for entry in entries)]
    head = [text(20, 30, family.title + where, 17, weight="bold"),
            text(20, 50, "Shorter is better." + (" The dashed line is the floor." if rated else ""), 12),
            legend(groups, rated, any("g" in entry for entry in entries), 20, 74)]
    foot = text(20, height - 10, f"{machine['date'][:10]}, {machine['cores']} cores of {machine['cpu']}, "
                f"{machine['kernel']}, {machine['compiler']}", 10.5, colour="#555555")
    return (f'<svg xmlns="http://www.w3.org/2000/svg" width="{width}" height="{height:.0f}" '
            f'viewBox="0 0 {width} {height:.0f}" font-family="DejaVu Sans, Helvetica, Arial, sans-serif">\n'
            f'<rect width="100%" height="100%" fill="white"/>\n' + "\n".join(head + body + [foot]) + "\n</svg>\n")


def charts(family, summary, machine):
    """File name part -> SVG."""
    result = {}
    for placement in dict.fromkeys(entry["placement"] for entry in summary):
        entries = [entry for entry in summary if entry["placement"] == placement]
        if not any(bar_of(entry, family, is_rated(family, entries)) for entry in entries):
            continue
        name = family.name if placement == "alone" else f"{family.name}-{placement}"
        result[name] = chart(family, placement, entries, machine)
    return result
