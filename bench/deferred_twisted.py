#!/usr/bin/python3
"""What Twisted takes for the chains of deferred_bench: prints nanoseconds for create + 10 callbacks + fire."""
import time

from twisted.internet.defer import Deferred


def once():
    d = Deferred()
    for k in range(10):
        d.addCallback(lambda n, k=k: n + k)
    d.callback(1)
    return d.result


def measure(count):
    begin = time.process_time_ns()
    for _ in range(count):
        once()
    return (time.process_time_ns() - begin) / count


measure(2000)
print(sorted(measure(4000) for _ in range(5))[2])
