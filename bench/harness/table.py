"""Markdown: the machine's header and one table a family."""

UNSTEADY = 0.15


def shown(value, digits):
    """A number of the summary; '~' before it says that its spread is over 15 %."""
    if value is None:
        return "-"
    text = f"{value['median']:,.{digits}f}".replace(",", " ")
    return ("~" if value["spread"] > UNSTEADY else "") + text


def ratio(value):
    return shown(value, 2 if value is None or value["median"] < 10 else 1)


def heading(machine, mode, seed):
    versions = ", ".join(f"{name} {version}" for name, version in machine["versions"].items())
    return "\n".join([
        f"{mode} run of {machine['date']}, commit {machine['commit']}, seed {seed}.",
        f"{machine['cores']} cores of {machine['cpu']}, {machine['memory_gib']} GiB, {machine['kernel']}; "
        f"{machine['compiler']}, {machine['flags']}.",
        f"{versions}." if versions else "",
        "R: cost relative to the floor's in the same round. G: the same in units of the generator's cost. "
        "X: what both ends pay. ~ marks a number whose quartiles are more than 15 % apart.", ""])


def family_table(family, summary):
    columns = [name for name in family.columns if any(name in entry["metrics"] for entry in summary)]
    rated = [name for name in ("r", "g", "x") if any(name in entry for entry in summary)]
    placed = any(entry["placement"] != "alone" for entry in summary)
    head = ["row"] + (["placement"] if placed else []) + ["program"] + [name.upper() for name in rated]
    for name in columns:
        metric = family.metric(name)
        per = f"/{family.op}" if name.endswith("_per_op") else ""
        head.append(f"{metric.title}{', ' + metric.unit if metric.unit else ''}{per}")
    lines = [f"### {family.title}", "", "| " + " | ".join(head) + " |",
             "|" + "---|" * (2 + placed) + "--:|" * (len(rated) + len(columns))]
    last = None
    for entry in summary:
        cell = (entry["row"], entry["placement"])
        where = [entry["row"]] + ([entry["placement"]] if placed else []) if cell != last else [""] * (1 + placed)
        last = cell
        name = entry["program"] + (" (= 1)" if entry["divisor"] else "")
        lines.append("| " + " | ".join(
            where + [f"**{name}**" if entry["group"] == "mobius" else name]
            + [ratio(entry.get(each)) for each in rated]
            + [shown(entry["metrics"].get(each), family.metric(each).digits) for each in columns]) + " |")
    if family.notes:
        lines += ["", family.notes]
    return "\n".join(lines + [""])
