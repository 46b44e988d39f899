"""The micro costs of the runtime and of deferreds beside Asio, libuv, Twisted and what is made by hand."""
import os

from harness.contract import Case, Family, Program
from support import batch

# what runtime_bench prints -> (row, program)
RUNTIME = {
    "raw pooled coroutine": ("await of a child", "by hand"),
    "await of a task": ("await of a child", "mobius"),
    "await of an Asio awaitable": ("await of a child", "Asio"),
    "yield to the next turn": ("yield", "mobius"),
    "Asio: post": ("yield", "Asio"),
    "channel item, 64 places": ("channel item, 64 places", "mobius"),
    "Asio: channel item, 64 places": ("channel item, 64 places", "Asio"),
    "scope: start and join one": ("spawn and join", "mobius"),
    "Asio: co_spawn and wait": ("spawn and join", "Asio"),
    "arm and cancel, 1 000 pending": ("timer, 1 000 pending", "mobius"),
    "Asio, 1 000 pending": ("timer, 1 000 pending", "Asio"),
    "libuv, 1 000 pending": ("timer, 1 000 pending", "libuv"),
    "arm and cancel, 1 000 000 pending": ("timer, 1 000 000 pending", "mobius"),
    "Asio, 1 000 000 pending": ("timer, 1 000 000 pending", "Asio"),
    "libuv, 1 000 000 pending": ("timer, 1 000 000 pending", "libuv"),
}
# what deferred_bench prints
ROWS = {"ready": "deferred: ready, 10 callbacks", "pending": "deferred: create, 10 callbacks, fire",
        "awaited": "deferred: await of a pending one", "failed": "deferred: failure, 10 errbacks"}
COLUMNS = {"deferred": "mobius", "hand": "by hand", "future": "future per stage", "std": "std::future",
           "Twisted": "Twisted"}
DEFERRED = [("ready", "deferred hand future Twisted"), ("pending", "deferred hand future std Twisted"),
            ("awaited", "deferred hand"), ("failed", "deferred hand future std Twisted")]
WAKE_UP = "wake another thread's loop"
WAKERS = ("mobius", "Asio", "libuv")


class Runtime(batch.Batch):
    """runtime_bench names its rows in its own words."""

    def run(self, seconds):
        lines = self.run_lines(seconds)
        return {RUNTIME[line["row"]]: line | {"allocations": None} for line in lines if line["row"] in RUNTIME}


class Deferred(batch.Batch):
    def run(self, seconds):
        return {(ROWS[line["row"]], COLUMNS[line["program"]]): line for line in self.run_lines(seconds)
                if line["row"] in ROWS}


class Micro(Family):
    name = "micro"
    title = "Micro costs"
    op = "operation"
    ratio_of = "ns_per_op"
    columns = ("ns_per_op", "allocs_per_op")
    packages = ("libasio-dev", "libuv1-dev", "libbenchmark-dev", "python3-twisted")
    targets = ("bench_micro",)
    rounds = {"quick": 1, "full": 3}
    budget = {"quick": 20, "full": 180}
    overhead = 0.5
    run_seconds = (0, 0)
    notes = ("Each program makes its own rounds and gives their medians; processor time, but for the wake-up, which "
             "is the clock's, from the call to its run in a loop that sleeps on the other core.")

    def __init__(self, context):
        super().__init__(context)
        both = set().union(*context.cores["split"])
        self.wakeups = batch.Batch(context, [context.built("micro/wakeups")], both)
        self.runtime = Runtime(context, [context.built("runtime_bench"), "--json"])
        self.deferred = Deferred(context, [context.built("deferred_bench"), "--json"])

    def source(self, row):
        if row == WAKE_UP:
            return self.wakeups
        return self.deferred if row.startswith("deferred: ") else self.runtime

    def cases(self):
        def case(row, program):
            return Case(Program(program, "mobius" if program == "mobius" else "peer"), row)

        for row, program in RUNTIME.values():
            yield case(row, program)
        for program in WAKERS:
            yield case(WAKE_UP, program)
        for row, columns in DEFERRED:
            for column in columns.split():
                yield case(ROWS[row], COLUMNS[column])

    def run(self, case, seconds):
        source = self.source(case.row)
        if not os.path.exists(source.command[0]):
            return {}
        return batch.metrics(source.take(case, 170))


family = Micro
