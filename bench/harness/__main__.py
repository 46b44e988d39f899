"""Runs the bench: python3 -m harness [options] [quick|full] [name...]; bench/run.sh prepares and calls it."""
import argparse
import json
import os
import pathlib
import random
import signal
import sys
import tempfile
import time

from . import chart, machine, registry, table
from .contract import BenchError, Context
from .session import FamilySession, Paused
from .summary import summarise

PAUSED = 75  # exit status: go on with --continue


def arguments():
    parser = argparse.ArgumentParser(prog="bench/run.sh", description="Measures mobius beside its floor and its "
                                     "peers, and writes bench/results/<date>.json, .md and .svg.")
    parser.add_argument("words", nargs="*", metavar="quick|full|name",
                        help="how much (quick by default); families or parts of programs' names (all by default)")
    parser.add_argument("--build", type=pathlib.Path, required=True, help="the folder bench/ of the build tree")
    parser.add_argument("--results", type=pathlib.Path, help="folder of the results (bench/results)")
    parser.add_argument("--rounds", type=int, help="instead of the families' own number")
    parser.add_argument("--budget", type=float, help="seconds for each family, instead of its own budget")
    parser.add_argument("--row", dest="rows", action="append", default=[], metavar="TEXT",
                        help="only rows that contain this text; may be given several times")
    parser.add_argument("--placements", default="", help="only these placements, by commas")
    parser.add_argument("--no-counts", action="store_true", help="no separate runs that count allocations")
    parser.add_argument("--seed", type=int, help="of the shuffling; printed")
    parser.add_argument("--pause-after", type=float, metavar="SECONDS", help="stop between two runs after this "
                        "time, with exit status 75; --continue goes on")
    parser.add_argument("--continue", dest="resume", type=pathlib.Path, metavar="JSON", help="go on with, or add "
                        "rounds to, an earlier result; give the same words")
    parser.add_argument("--list", choices=("programs", "packages", "targets"), help="print them and end")
    options = parser.parse_args()
    modes = [word for word in options.words if word in ("quick", "full")]
    options.mode = modes[-1] if modes else "quick"
    options.names = [word for word in options.words if word not in ("quick", "full")]
    options.placements = [text for text in options.placements.split(",") if text]
    return options


def placements():
    """The measured program has the last core; the generator the same one, or the first."""
    cores = sorted(os.sched_getaffinity(0))
    last, first = {cores[-1]}, {cores[0]}
    placed = {"alone": (last, last), "same": (last, last)}
    if len(cores) > 1:
        placed["split"] = (last, first)
    return placed


def wanted_row(row, texts, rows):
    """A text that is a row's whole name stands for that row alone, as "depth 1" begins "depth 16"."""
    return not texts or any(text == row if text in rows else text in row for text in texts)


def make_families(options, scratch):
    """The chosen families with their chosen cases."""
    source = pathlib.Path(__file__).parents[1]
    chosen, programs = registry.choose(source, options.names)
    made, every = [], []
    for name, kind in chosen.items():
        family = kind(Context(source, options.build.absolute(), options.mode, scratch, placements()))
        every += family.cases()
        absent = {case.program for case in family.cases() if not family.available(case.program)}
        if absent and not options.list:
            names = ", ".join(sorted(program.name for program in absent))
            print(f"{name}: left out, for it is not built or not installed: {names}", file=sys.stderr)
        rows = {case.row for case in family.cases()}
        cases = [case for case in registry.select_cases(family, programs)
                 if (case.program not in absent or options.list) and case.placement in family.context.cores
                 and wanted_row(case.row, options.rows, rows)
                 and (not options.placements or case.placement in options.placements)]
        if cases:
            made.append((family, cases))
    registry.check_names(every, programs)
    if not made:
        raise BenchError("nothing is left to run; --list programs prints what there is")
    return made


def print_list(options, scratch):
    if options.list == "programs":
        values = [f"{family.name}: {case}" for family, cases in make_families(options, scratch) for case in cases]
    else:
        chosen, _ = registry.choose(pathlib.Path(__file__).parents[1], options.names)
        values = [value for kind in chosen.values() for value in getattr(kind, options.list)]
    print("\n".join(dict.fromkeys(values)))


class Progress:
    """One line that is written over on a terminal, and one every 15 s elsewhere."""

    def __init__(self, sessions):
        self.sessions = sessions
        self.terminal = sys.stderr.isatty()
        self.next = 0.0

    def __call__(self, session, step):
        if time.monotonic() < self.next:
            return
        self.next = time.monotonic() + (0.5 if self.terminal else 15)
        left = sum(each.time_left() for each in self.sessions)
        what = "counting" if step.round < 0 else f"round {step.round + 1} of {session.rounds}"
        text = f"{session.family.name}: {what}, {left / 60:.1f} min left: {step.case}"
        if self.terminal:
            sys.stderr.write(f"\r\033[K{text[:110]}")
        else:
            print(text, file=sys.stderr, flush=True)

    def end(self):
        if self.terminal:
            sys.stderr.write("\r\033[K")


def load_result(options, made):
    source = made[0][0].context.source
    if options.resume:
        result = json.loads(options.resume.read_text())
        if options.rounds is None and result["mode"] != options.mode:
            raise BenchError(f"{options.resume} is a {result['mode']} run")
        return result, options.resume
    packages = sorted({package for family, _ in made for package in family.packages})
    result = {"machine": machine.describe(source, options.build, packages), "mode": options.mode,
              "seed": options.seed if options.seed is not None else random.randrange(1 << 32), "families": {}}
    folder = options.results or source / "results"
    folder.mkdir(parents=True, exist_ok=True)
    stamp = time.strftime("%Y-%m-%d-%H%M%S")
    return result, folder / f"{stamp}.json"


def report(result, path, made):
    """Writes the JSON, the Markdown and the charts; returns the Markdown."""
    texts = [table.heading(result["machine"], result["mode"], result["seed"])]
    for family, cases in made:
        record = result["families"].get(family.name)
        if record is None or not record["runs"]:
            continue
        record["summary"] = summarise(family, cases, record)
        texts.append(table.family_table(family, record["summary"]))
        for name, svg in chart.charts(family, record["summary"], result["machine"]).items():
            image = path.with_name(f"{path.stem}-{name}.svg")
            image.write_text(svg)
            texts.append(f"![{family.title}]({image.name})\n")
        texts += [f"failed: {run['error']}\n" for run in record["failures"]]
    path.write_text(json.dumps(result, indent=None, separators=(",", ":")) + "\n")
    text = "\n".join(texts)
    path.with_suffix(".md").write_text(text)
    return text


def measure(options, made):
    result, path = load_result(options, made)
    sessions = [FamilySession(family, cases, result["seed"], result["families"].setdefault(family.name, {}),
                              options.rounds, options.budget, not options.no_counts) for family, cases in made]
    progress = Progress(sessions)
    deadline = time.monotonic() + options.pause_after if options.pause_after else None
    status = 0
    try:
        for session in sessions:
            try:
                session.measure(deadline, progress)
            finally:
                session.family.close()
    except (Paused, KeyboardInterrupt):
        status = PAUSED
    progress.end()
    text = report(result, path, made)
    print(text if status == 0 else f"paused; go on with --continue {path}")
    failed = [run["error"] for record in result["families"].values() for run in record.get("failures", ())]
    for error in failed:
        print(f"failed: {error}", file=sys.stderr)
    print(f"{path}", file=sys.stderr)
    return status or (1 if failed else 0)


def main():
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    options = arguments()
    try:
        with tempfile.TemporaryDirectory(prefix="mobius-bench-") as scratch:
            if options.list:
                print_list(options, pathlib.Path(scratch))
                return 0
            return measure(options, make_families(options, pathlib.Path(scratch)))
    except BenchError as error:
        print(f"bench: {error}", file=sys.stderr)
        return 2


sys.exit(main())
