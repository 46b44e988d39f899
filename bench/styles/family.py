"""Styles without I/O: what a step costs in callbacks, in coroutines that await deferreds, and in tasks."""
import os

from harness.contract import Case, Family, Program
from support import batch

ROWS = ("chain of 10", "fan-out and gather of 1000", "pipeline of 10 stages", "cancel of 1000")
STYLES = ("deferred callbacks", "deferreds, co_await", "tasks")


class Styles(Family):
    name = "styles"
    title = "The same work in three styles, without I/O"
    op = "step"
    ratio_of = "ns_per_op"
    columns = ("ns_per_op", "allocs_per_op")
    targets = ("styles",)
    rounds = {"quick": 3, "full": 9}
    budget = {"quick": 10, "full": 60}
    overhead = 0.3
    run_seconds = (0, 0)
    notes = ("A step is one callback or await of the chain, one of the thousand, one item through one stage. All "
             "styles wait for the same deferreds (chain, fan-out, cancel) or for items of queues without a limit "
             "(pipeline: deferred_queue, channel), and are checked for the same result. A cancelled coroutine "
             "throws and catches one exception, which costs one allocation; a cancelled deferred throws nothing.")

    def __init__(self, context):
        super().__init__(context)
        self.program = batch.Batch(context, [context.built("styles/styles")])

    def cases(self):
        for row in ROWS:
            for style in STYLES:
                yield Case(Program(style, "mobius"), row)

    def available(self, program):
        return os.path.exists(self.context.built("styles/styles"))

    def run(self, case, seconds):
        return batch.metrics(self.program.take(case, 60))


family = Styles
