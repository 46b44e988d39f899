"""From all runs of a family to one entry a case: medians, spreads, and the ratios to the floor.

R = median over the rounds of (program's CPU per operation / the floor's in that round),
G = the same of (program's CPU / generator's CPU), which cancels the machine's noise and hides what both pay,
X = the same of 1 + (program's + generator's CPU - the floor's two) / the floor's program CPU."""
import statistics


def spread_of(values):
    """Median and quartiles of what the rounds gave, and the quartiles' distance in units of the median."""
    middle = statistics.median(values)
    low, high = middle, middle
    if len(values) > 1:
        low, _, high = statistics.quantiles(values, n=4, method="inclusive")
    return {"median": middle, "low": low, "high": high, "spread": (high - low) / middle if middle else 0.0}


def by_round(runs):
    return {run["round"]: run["metrics"] for run in runs}


def load_of(metrics):
    return metrics.get("load_cpu_ns_per_op")


def ratios(mine, floor, metric):
    """R, and G and X where the generator's CPU is known; by rounds that both have."""
    result = {"r": [], "g": [], "x": []}
    for number in sorted(mine.keys() & floor.keys()):
        a, b = mine[number], floor[number]
        if not a.get(metric) or not b.get(metric):
            continue
        result["r"].append(a[metric] / b[metric])
        if load_of(a) and load_of(b):
            result["g"].append((a[metric] / load_of(a)) / (b[metric] / load_of(b)))
            result["x"].append(1 + (a[metric] + load_of(a) - b[metric] - load_of(b)) / b[metric])
    return {name: spread_of(values) for name, values in result.items() if values}


def summarise_cell(family, programs, runs, counts):
    """`runs` and `counts`: program name -> runs of this cell."""
    metric = family.ratio_of

    def median_cost(program):
        values = [run["metrics"].get(metric) for run in runs.get(program.name, [])]
        values = [value for value in values if value is not None]
        return statistics.median(values) if values else float("inf")

    floors = [program for program in programs if program.group == "floor" and runs.get(program.name)]
    floor = min(floors, key=median_cost, default=None)
    entries = []
    for program in programs:
        own = runs.get(program.name, [])
        if not own:
            continue
        entry = {"program": program.name, "group": program.group, "rounds": len(own),
                 "divisor": program is floor, "metrics": {}, "steal": max(run["steal"] for run in own)}
        for name in {name for run in own for name in run["metrics"]}:
            values = [run["metrics"][name] for run in own if run["metrics"].get(name) is not None]
            if values:
                entry["metrics"][name] = spread_of(values)
        for run in counts.get(program.name, []):
            for name, value in run["metrics"].items():
                if value is not None:
                    entry["metrics"].setdefault(name, spread_of([value]))
        if floor is not None:
            entry |= ratios(by_round(own), by_round(runs[floor.name]), metric)
        entries.append(entry)
    return entries


def summarise(family, cases, record):
    """Entries in the order in which the family names its cases."""
    cells = list(dict.fromkeys(case.cell for case in cases))
    # What does not differ by placement is counted once, and holds for the row.
    summary = []
    for row, placement in cells:
        programs = [case.program for case in cases if case.cell == (row, placement)]
        of = {program.name: [run for run in record["runs"] if run["program"] == program.name
                             and (run["row"], run["placement"]) == (row, placement)] for program in programs}
        counts = {program.name: [run for run in record["counts"] if run["program"] == program.name
                                 and run["row"] == row] for program in programs}
        for entry in summarise_cell(family, programs, of, counts):
            summary.append({"row": row, "placement": placement} | entry)
    return summary
