#!/usr/bin/python3
"""What Twisted takes for the chains of deferred_bench: prints a line for each, its name and nanoseconds."""
import time

from twisted.internet.defer import Deferred, ensureDeferred, succeed
from twisted.python.failure import Failure

STAGES = range(10)


def ready():
    d = succeed(1)
    for k in STAGES:
        d.addCallback(lambda n, k=k: n + k)
    return d.result


def pending():
    d = Deferred()
    for k in STAGES:
        d.addCallback(lambda n, k=k: n + k)
    d.callback(1)
    return d.result


async def wait_for(d):
    return await d


def awaited():
    inner = Deferred()
    d = ensureDeferred(wait_for(inner))
    inner.callback(1)
    return d.result


def failed():
    d = Deferred()
    for _ in STAGES:
        d.addErrback(lambda f: f)
    d.addErrback(lambda f: 1 if f.check(LookupError) else 0)
    d.errback(Failure(LookupError()))
    return d.result


def measure(chain, count):
    begin = time.process_time_ns()
    for _ in range(count):
        chain()
    return (time.process_time_ns() - begin) / count


for chain in (ready, pending, awaited, failed):
    measure(chain, 500)
    print(chain.__name__, sorted(measure(chain, 1500) for _ in range(7))[3])
