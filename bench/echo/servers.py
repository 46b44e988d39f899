"""One run of an echo server under the load generator: what the families echo and scale share."""
import dataclasses
import json
import os
import pathlib
import shlex
import sys

from harness import process
from harness.contract import BenchError


@dataclasses.dataclass(frozen=True)
class Load:
    """What the generator does. `active` of the connections send, the others stay silent; 0: all."""
    connections: int
    size: int
    depth: int
    active: int = 0

    @property
    def window(self):
        """Messages on the way at any time."""
        return (self.active or self.connections) * self.depth


def command(context, program):
    """How a server is started: a program of the build tree, or a script beside this file, with its options."""
    words = shlex.split(program)
    if not words[0].endswith(".py"):
        return [context.built(f"echo/{words[0]}")] + words[1:]
    # Debian's packages serve Debian's own interpreter.
    python = "/usr/bin/python3" if pathlib.Path("/usr/bin/python3").exists() else sys.executable
    return [python, str(context.source / "echo" / words[0])] + words[1:]


def built(context, program):
    return pathlib.Path(command(context, program)[-1 if program.endswith(".py") else 0]).exists()


def run(context, program, load, placement, messages, warmup, what, counted=False, time_limit=30):
    """Starts the server and the generator; returns the two lines of JSON that they print."""
    server_cores, load_cores = context.cores[placement]
    common = ["--size", str(load.size), "--warmup", str(warmup), "--messages", str(messages)]
    environment = dict(os.environ, LD_PRELOAD=context.built("support/libcount_alloc.so")) if counted else None
    generator = [context.built("echo/echo_load"), "--connections", str(load.connections), "--active",
                 str(load.active or load.connections), "--depth", str(load.depth), "--time-limit", str(time_limit)]
    with process.running(server_cores, command(context, program) + common + ["--exit-after-close"], environment,
                         stdout=process.PIPE) as server:
        port = process.read_port(server, what)
        with process.running(load_cores, generator + ["--port", str(port)] + common,
                             stdout=process.PIPE) as loader:
            made = json.loads(process.read_line(loader, time_limit + 5, f"{what}: the generator"))
        printed = json.loads(process.read_line(server, 10, f"{what}: the server"))
    if not printed["complete"]:
        raise BenchError(f"{what}: the server did not see all messages")
    return printed, made


def metrics(server, load):
    """The harness's metrics of one run."""
    count = server["messages"]

    def per_message(key):
        return None if server[key] is None else server[key] / count

    result = {
        "cpu_ns_per_op": server["cpu_ns"] / count,
        "load_cpu_ns_per_op": load["cpu_ns"] / load["messages"],
        "ops_per_s": load["messages"] / load["wall_ns"] * 1e9,
        "p50_us": load["p50_ns"] / 1e3, "p99_us": load["p99_ns"] / 1e3, "p999_us": load["p999_ns"] / 1e3,
        "server_share": 100 * server["cpu_ns"] / server["wall_ns"],
        "load_share": 100 * load["cpu_ns"] / load["wall_ns"],
    }
    # A server that does not count its own enters has them counted from outside, in the run for that.
    if server["enters"]:
        result |= {"enters_per_op": per_message("enters"), "sqes_per_op": per_message("sqes")}
    return result


def counts(server):
    """Allocations and enters per message, from a run with the counter preloaded."""
    count = server["messages"]
    result = {"allocs_per_op": (server["allocations"] + server["mappings"]) / count}
    if server["enters"]:
        result |= {"enters_per_op": server["enters"] / count, "sqes_per_op": server["sqes"] / count}
    return result


class Paces:
    """How many messages fill a run of given length, learnt for every case from its last run."""

    def __init__(self):
        self.rates = {}

    def messages(self, case, seconds, trial):
        """`trial()` makes a short run and returns its metrics; it is called for the first run of a case."""
        if case not in self.rates:
            self.learn(case, trial())
        return max(1000, int(self.rates[case] * seconds))

    def learn(self, case, metrics_of_run):
        self.rates[case] = metrics_of_run["ops_per_s"]
        return metrics_of_run
