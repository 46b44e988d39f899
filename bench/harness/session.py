"""Shuffled interleaved rounds, within a time budget, that can stop between two runs and go on later.

The order is drawn from the seed, so what is left to do follows from the seed and the list of finished runs."""
import dataclasses
import random
import time

from . import machine
from .contract import BenchError, Case


class Paused(Exception):
    """The time of this sitting is over; all finished runs are in the record."""


@dataclasses.dataclass(frozen=True)
class Step:
    case: Case
    round: int  # -1: a count


def key(case, number):
    return case.program.name, case.row, case.placement, number


class FamilySession:
    """All runs of one family. `record` is a JSON-able dict that holds everything that was measured."""

    def __init__(self, family, cases, seed, record, rounds=None, budget=None, counts=True):
        self.family = family
        self.cases = cases
        self.mode = family.context.mode
        self.rounds = rounds or family.rounds[self.mode]
        self.budget = budget or family.budget[self.mode]
        self.counted = [case for case in cases if counts and family.countable(case)]
        self.seed = seed
        self.record = record
        for name, empty in (("runs", []), ("counts", []), ("failures", []), ("used", 0.0), ("seconds", []),
                            ("overheads", []), ("count_times", [])):
            record.setdefault(name, empty)

    def steps(self):
        """What is still to do. Cells take turns, so that a slow minute hits all of them."""
        done = {(run["program"], run["row"], run["placement"], run["round"])
                for run in self.record["runs"] + self.record["counts"] + self.record["failures"]}
        for number in range(self.rounds):
            draw = random.Random(f"{self.seed} {self.family.name} {number}")
            cells = sorted({case.cell for case in self.cases})
            draw.shuffle(cells)
            for cell in cells:
                programs = [case for case in self.cases if case.cell == cell]
                draw.shuffle(programs)
                for case in programs:
                    if key(case, number) not in done:
                        yield Step(case, number)
        for case in self.counted:
            if key(case, -1) not in done:
                yield Step(case, -1)

    def seconds_per_run(self):
        """What the budget leaves for each timed run, from what the runs so far took beside their seconds."""
        low, high = self.family.run_seconds
        left = self.rounds * len(self.cases) - len(self.record["runs"])
        overheads, count_times = self.record["overheads"], self.record["count_times"]
        overhead = sum(overheads) / len(overheads) if overheads else self.family.overhead
        count = sum(count_times) / len(count_times) if count_times else 2.0
        counts_left = len(self.counted) - len(self.record["counts"])
        seconds = (self.budget - self.record["used"] - count * counts_left) / max(1, left) - overhead
        return min(high, max(low, seconds))

    def time_left(self):
        """Seconds until the end, as far as one can tell."""
        overheads, count_times = self.record["overheads"], self.record["count_times"]
        overhead = sum(overheads) / len(overheads) if overheads else self.family.overhead
        count = sum(count_times) / len(count_times) if count_times else 2.0
        steps = list(self.steps())
        runs = sum(step.round >= 0 for step in steps)
        return runs * (self.seconds_per_run() + overhead) + (len(steps) - runs) * count

    def hopeless(self, case):
        failures = [run for run in self.record["failures"]
                    if (run["program"], run["row"], run["placement"]) == key(case, 0)[:3]]
        return len(failures) >= 2

    def measure(self, deadline, progress):
        """Runs what is left. `progress(session, step)` is called before every step."""
        for step in self.steps():
            if self.hopeless(step.case):
                continue
            if deadline is not None and time.monotonic() > deadline:
                raise Paused
            progress(self, step)
            self.measure_one(step)

    def measure_one(self, step):
        seconds = self.seconds_per_run()
        begin, ticks = time.monotonic(), machine.cpu_ticks()
        entry = {"program": step.case.program.name, "row": step.case.row, "placement": step.case.placement,
                 "round": step.round}
        try:
            metrics = (self.family.count(step.case) if step.round < 0
                       else self.family.run(step.case, seconds))
        except BenchError as error:
            self.record["failures"].append(entry | {"error": str(error)})
            self.record["used"] += time.monotonic() - begin
            return
        took, after = time.monotonic() - begin, machine.cpu_ticks()
        self.record["used"] += took
        entry["metrics"] = metrics
        entry["steal"] = (after[1] - ticks[1]) / max(1, after[0] - ticks[0])
        if step.round < 0:
            self.record["count_times"].append(took)
            self.record["counts"].append(entry)
        else:
            self.record["overheads"].append(took - seconds)
            self.record["seconds"].append(seconds)
            self.record["runs"].append(entry)
