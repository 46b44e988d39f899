#!/usr/bin/python3
"""Pages over HTTP with Twisted: an Agent with a pool that keeps all connections, as many at once as asked for.
Fast options: the epoll reactor, a persistent pool."""
import argparse
import json
import sys
import time
import warnings

# Twisted 22.4 warns of its own pooled transport at each readBody.
warnings.simplefilter("ignore", DeprecationWarning)

from twisted.internet import epollreactor

epollreactor.install()
from twisted.internet import defer, reactor  # noqa: E402
from twisted.web.client import Agent, HTTPConnectionPool, readBody  # noqa: E402

parser = argparse.ArgumentParser()
parser.add_argument("--url", default="http://127.0.0.1:80")
parser.add_argument("--requests", type=int, default=10_000)
parser.add_argument("--connections", type=int, default=64)
options = parser.parse_args()
urls = [f"{options.url}/page/{page:02}".encode() for page in range(20)]
bodies = [b"Hello, page %02d" % page for page in range(20)]
asked = 0


@defer.inlineCallbacks
def work(agent):
    global asked
    while asked < options.requests:
        page = asked % 20
        asked += 1
        response = yield agent.request(b"GET", urls[page])
        text = yield readBody(response)
        if text != bodies[page]:
            raise RuntimeError(f"{urls[page]!r} gave {text!r}")


@defer.inlineCallbacks
def main():
    pool = HTTPConnectionPool(reactor, persistent=True)
    pool.maxPersistentPerHost = options.connections
    agent = Agent(reactor, pool=pool)
    cpu, wall = time.process_time_ns(), time.monotonic_ns()
    try:
        yield defer.gatherResults([work(agent) for _ in range(options.connections)])
    except Exception as error:
        print(error, file=sys.stderr)
    else:
        print(json.dumps({"requests": asked, "cpu_ns": time.process_time_ns() - cpu,
                          "wall_ns": time.monotonic_ns() - wall, "allocations": None}), flush=True)
    yield pool.closeCachedConnections()
    reactor.stop()


reactor.callWhenRunning(main)
reactor.run()
