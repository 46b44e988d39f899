"""What a family of benchmarks is to the harness. A family lives in bench/<name>/family.py and ends with
`family = TheClass`; the harness finds it there. README.md ("How to add a program") shows one."""
import dataclasses
import pathlib

GROUPS = ("floor", "mobius", "peer")


class BenchError(Exception):
    """A run that failed, in words that name the program and the case. The harness reports it and goes on."""


@dataclasses.dataclass(frozen=True)
class Program:
    """One competitor. Of a cell's programs of the group `floor` the best, by the median, is the divisor."""
    name: str
    group: str = "peer"

    def __post_init__(self):
        assert self.group in GROUPS, self.group


@dataclasses.dataclass(frozen=True)
class Case:
    """One thing to run again and again. A cell, where programs are compared, is a row and a placement."""
    program: Program
    row: str
    placement: str = "alone"

    @property
    def cell(self):
        return self.row, self.placement

    def __str__(self):
        return ", ".join(part for part in (self.program.name, self.row, self.placement) if part != "alone")


@dataclasses.dataclass(frozen=True)
class Metric:
    """How a number is shown. `better` is "low" or "high"."""
    title: str
    unit: str = ""
    digits: int = 0
    better: str = "low"


METRICS = {
    "cpu_ns_per_op": Metric("CPU", "ns", 0),
    "load_cpu_ns_per_op": Metric("generator's CPU", "ns", 0),
    "ops_per_s": Metric("ops/s", "", 0, "high"),
    "p50_us": Metric("p50", "us", 0),
    "p99_us": Metric("p99", "us", 0),
    "p999_us": Metric("p99.9", "us", 0),
    "ns_per_op": Metric("time", "ns", 1),
    "enters_per_op": Metric("enters", "", 3),
    "sqes_per_op": Metric("SQEs", "", 2),
    "allocs_per_op": Metric("allocations", "", 3),
    "server_share": Metric("server's core", "%", 0),
    "load_share": Metric("generator's core", "%", 0),
    "bytes_per_connection": Metric("memory", "B", 0),
}


@dataclasses.dataclass(frozen=True)
class Context:
    """What a family knows of the place it runs in."""
    source: pathlib.Path  # the folder bench/
    build: pathlib.Path  # the same folder of the build tree: bench/echo/x.cpp is built to <build>/echo/x
    mode: str  # "quick" or "full"
    scratch: pathlib.Path  # an empty folder for configuration files and logs; removed at the end
    cores: dict  # placement -> (cores of the measured program, cores of the generator)

    def built(self, path):
        """The command of a program of the build tree: built("echo/uv_echo")."""
        return str(self.build / path)


class Family:
    """A question that one table and one chart answer. A sub-class sets the fields and writes `cases`, `run`."""

    name = ""  # the folder's name
    title = ""  # of the table and the chart
    op = "message"  # what the numbers are per
    ratio_of = "cpu_ns_per_op"  # the metric of which R is the ratio to the floor's
    chart_of = None  # a metric for the chart to show as it is, instead of its ratio
    columns = ("cpu_ns_per_op", "ops_per_s", "p50_us", "p99_us", "p999_us",
               "enters_per_op", "sqes_per_op", "allocs_per_op")  # of the table, in this order
    extra_metrics = {}  # name -> Metric, for what METRICS lacks
    packages = ()  # Debian packages, installed before the build
    targets = ()  # build targets
    rounds = {"quick": 5, "full": 9}
    budget = {"quick": 20, "full": 120}  # seconds for everything of this family, the counting included
    overhead = 0.2  # a guess of what one run takes beyond its seconds; measured as the rounds go on
    run_seconds = (0.1, 1.0)  # least and most length of one timed run, 0 where runs have their own length
    notes = ""  # one or two sentences under the table

    def __init__(self, context):
        self.context = context

    def cases(self):
        """All cases of this mode. A case may be yielded for some programs only: cells need not be full."""
        raise NotImplementedError

    def available(self, program):
        """Whether the program can run here; the harness names and leaves out what cannot."""
        return True

    def run(self, case, seconds):
        """One timed run of about `seconds`. Returns a dict of metrics (float; None for unknown ones)."""
        raise NotImplementedError

    def countable(self, case):
        """Whether `count` has something to say of this case; asked before planning."""
        return False

    def count(self, case):
        """One run that is not timed, for exact counts (allocations). Returns a dict of metrics."""
        return {}

    def close(self):
        """Ends what the family has kept running (an nginx between its runs)."""

    def metric(self, name):
        return self.extra_metrics.get(name) or METRICS[name]
