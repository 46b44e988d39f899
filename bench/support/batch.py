"""Families whose programs measure many rows in one run and print a line of JSON for each: {"row", "program",
"ns", "allocations"}."""
import json

from harness import process
from harness.contract import BenchError


class Batch:
    """Runs a program when one of its rows is asked for again; each line of a run is handed out once."""

    def __init__(self, context, command, cores=None):
        self.cores = cores or context.cores["alone"][0]
        self.command = command
        self.lines = {}

    def take(self, case, seconds):
        """The line of this case, from the last run or a new one that may take so many seconds."""
        key = case.row, case.program.name
        if key not in self.lines:
            self.lines = self.run(seconds)
        if key not in self.lines:
            raise BenchError(f"{case}: {self.command[0]} did not print it")
        return self.lines.pop(key)

    def run(self, seconds):
        return {(line["row"], line["program"]): line for line in self.run_lines(seconds)}

    def run_lines(self, seconds):
        """The lines of one run."""
        with process.running(self.cores, self.command, stdout=process.PIPE) as program:
            printed, _ = program.communicate(timeout=seconds)
        if program.returncode != 0:
            raise BenchError(f"{self.command[0]} ended with status {program.returncode}")
        return [json.loads(line) for line in printed.splitlines() if line.startswith("{")]


def metrics(line):
    return {"ns_per_op": line["ns"], "allocs_per_op": line["allocations"]}
