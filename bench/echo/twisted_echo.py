#!/usr/bin/env python3
"""Echo over TCP with Twisted, on its epoll reactor. It takes the options and prints the line that
support/server_stats.hpp describes. Fast options: TCP_NODELAY, no logging."""
import argparse
import json
import resource
import time

from twisted.internet import epollreactor

epollreactor.install()

from twisted.internet import protocol, reactor  # noqa: E402 (the reactor is chosen first)


class Stats:
    """Counts echoed bytes, and takes two snapshots: after the warm-up, and `messages` later."""

    def __init__(self, options):
        self.options = options
        self.bytes = 0
        self.next = options.warmup * options.size
        self.snapshots = []

    def echoed(self, count):
        self.bytes += count
        if self.bytes >= self.next:
            self.snapshots.append(self.take())
            self.next = (self.bytes + self.options.messages * self.options.size
                         if len(self.snapshots) == 1 else float("inf"))

    def take(self):
        used = resource.getrusage(resource.RUSAGE_SELF)
        return {"bytes": self.bytes, "cpu_ns": time.process_time_ns(), "wall_ns": time.monotonic_ns(),
                "page_faults": used.ru_minflt, "switches": used.ru_nvcsw, "preemptions": used.ru_nivcsw}

    def print(self):
        complete = len(self.snapshots) == 2
        first, last = self.snapshots if complete else (self.take(), self.take())
        spent = {name: last[name] - first[name] for name in first}
        unknown = dict.fromkeys(("enters", "sqes", "cqes", "allocations", "frees", "mappings"))
        messages = spent.pop("bytes") // self.options.size
        print(json.dumps({"server": "Twisted", "complete": complete, "messages": messages} | spent | unknown),
              flush=True)


class Echo(protocol.Protocol):
    open = 0

    def connectionMade(self):
        Echo.open += 1
        self.transport.setTcpNoDelay(True)

    def dataReceived(self, data):
        self.transport.write(data)
        stats.echoed(len(data))

    def connectionLost(self, reason=protocol.connectionDone):
        Echo.open -= 1
        if Echo.open == 0 and options.exit_after_close:
            reactor.stop()


parser = argparse.ArgumentParser()
for name, value in (("port", 0), ("size", 64), ("warmup", 10_000), ("messages", 100_000)):
    parser.add_argument(f"--{name}", type=int, default=value)
parser.add_argument("--exit-after-close", action="store_true")
options = parser.parse_args()
stats = Stats(options)
factory = protocol.Factory.forProtocol(Echo)
factory.noisy = False
listener = reactor.listenTCP(options.port, factory, backlog=4096, interface="127.0.0.1")
print(f"port {listener.getHost().port}", flush=True)
reactor.run()
stats.print()
