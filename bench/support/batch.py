"""Families whose programs measure many rows in one run and print a line of JSON for each: {"row", "program",
"ns", "allocations"}."""
import json

from harness import process
from harness.contract import BenchError


class Batch:
    """Runs a program when one of its rows is asked for again; each line of a run is handed out once."""

    def __init__(self, context, command):
        self.context = context
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
        cores, _ = self.context.cores["alone"]
        with process.running(cores, self.command, stdout=process.PIPE) as program:
            printed, _ = program.communicate(timeout=seconds)
        if program.returncode != 0:
            raise BenchError(f"{self.command[0]} ended with status {program.returncode}")
        lines = [json.loads(line) for line in printed.splitlines() if line.startswith("{")]
        return {(line["row"], line["program"]): line for line in lines}


def metrics(line):
    return {"ns_per_op": line["ns"], "allocs_per_op": line["allocations"]}
