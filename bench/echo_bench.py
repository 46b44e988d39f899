#!/usr/bin/env python3
"""Compares echo servers with the floor: CPU, io_uring work and allocations per message, and the ratios.

    echo_bench.py --build build-bench/bench mobius='build-bench/bench/mobius_echo'

Every server is named as name=command; server_stats.hpp says what a server takes and prints. The floors are
floor_echo and floor_echo --single from the build folder; in each row the better of the two, by the median, is
what the others are divided by.

A row is connections x size x depth. A placement is `same` (server and generator pinned to one core: always
busy, no wake-ups to another core) or `split` (a core each: wake-ups show). In each round every server runs
once, in shuffled order. Then
  R = median over the rounds of (server's CPU per message / the floor's in that round),
  G = the same of (server's CPU / generator's CPU), which cancels the machine's noise and hides what both pay,
  X = the same of 1 + (server's + generator's CPU - the floor's two) / the floor's server CPU,
and the number after +- is half of the distance between the quartiles. In `same` trust X: part of the kernel's
work for both ends is done by whichever process happens to run, so what a server burns in excess shows up in
the generator as well. Of a server that spins 1000 ns per message R shows half, G nothing and X all.
CPU is the scheduler's own account of all of a process's threads, between two messages that the server
counts itself.

Allocations come from one more run per server and row with the counter preloaded, which is not timed. With
--max-r, --max-x or --no-allocations the exit status is 1 when a server (not a floor) misses the demand.
"""
import argparse
import json
import os
import random
import select
import shlex
import signal
import statistics
import subprocess
import sys
import time

WARMUP = 10_000
COUNTED_MESSAGES = 100_000


class BenchError(Exception):
    pass


def arguments():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("servers", nargs="*", metavar="name=command")
    parser.add_argument("--build", required=True, help="folder of floor_echo, echo_load, libcount_alloc.so")
    parser.add_argument("--rows", default="64x64x1,64x16384x1", help="connections x size x depth, by commas")
    parser.add_argument("--placements", default="same,split")
    parser.add_argument("--rounds", type=int, default=9)
    parser.add_argument("--seconds", type=float, default=0.6, help="length of one timed run")
    parser.add_argument("--messages", type=int, help="messages of one timed run, instead of --seconds")
    parser.add_argument("--time-limit", type=int, default=20, help="seconds after which one run is given up")
    parser.add_argument("--seed", type=int, help="of the shuffling; printed")
    parser.add_argument("--json", help="file for every run's numbers and the summary")
    parser.add_argument("--max-r", type=float, help="fail when a server's R is above this")
    parser.add_argument("--max-x", type=float, help="fail when a server's X is above this")
    parser.add_argument("--no-allocations", action="store_true", help="fail when a server allocates")
    options = parser.parse_args()
    options.rows = [tuple(int(part) for part in row.split("x")) for row in options.rows.split(",")]
    options.placements = options.placements.split(",")
    if any(len(row) != 3 for row in options.rows) or set(options.placements) - {"same", "split"}:
        parser.error("rows are like 64x16384x1, placements are same and split")
    if any("=" not in server for server in options.servers):
        parser.error("a server is given as name=command")
    return options


def pinned(cores, command, environment=None, **streams):
    """Starts `command` on `cores`."""
    try:
        return subprocess.Popen(command, env=environment, text=True,
                                preexec_fn=lambda: os.sched_setaffinity(0, cores), **streams)
    except OSError as error:
        raise BenchError(f"cannot start {shlex.join(command)}: {error}") from error


def read_line(process, deadline, what):
    """A line of the process's output; its pipe must not have been read ahead."""
    if not select.select([process.stdout], [], [], max(0.0, deadline - time.monotonic()))[0]:
        raise BenchError(f"{what}: no output in time")
    return process.stdout.readline()


def end(process):
    """Ends one process of ours: asked first, then forced."""
    if process.poll() is None:
        process.send_signal(signal.SIGTERM)
        try:
            process.wait(2)
        except subprocess.TimeoutExpired:
            process.kill()
    process.wait()
    process.stdout.close()


def cpu_ticks():
    with open("/proc/stat") as stat:
        ticks = [int(field) for field in stat.readline().split()[1:9]]
    return sum(ticks), ticks[7]


class Bench:
    def __init__(self, options):
        self.options = options
        self.load = os.path.join(options.build, "echo_load")
        self.counter = os.path.abspath(os.path.join(options.build, "libcount_alloc.so"))
        floor = shlex.quote(os.path.join(options.build, "floor_echo"))
        self.floors = {"floor": floor, "floor --single": f"{floor} --single"}
        self.servers = dict(self.floors)
        for server in options.servers:
            name, command = server.split("=", 1)
            if name in self.servers:
                raise BenchError(f"two servers are named {name}")
            self.servers[name] = command
        cores = sorted(os.sched_getaffinity(0))
        self.cores = {"same": ({cores[-1]}, {cores[-1]}), "split": ({cores[-1]}, {cores[0]})}
        if len(cores) < 2 and "split" in options.placements:
            raise BenchError("the placement split needs two cores: use --placements same")

    def run(self, name, row, placement, messages, counted=False):
        """One run of one server: what the server and the generator measured."""
        connections, size, depth = row
        common = ["--size", str(size), "--warmup", str(WARMUP), "--messages", str(messages)]
        server_cores, load_cores = self.cores[placement]
        deadline = time.monotonic() + self.options.time_limit + 5
        environment = dict(os.environ, LD_PRELOAD=self.counter) if counted else None
        what = f"{name}, {connections} connections, {size} B, depth {depth}, {placement}"
        before = cpu_ticks()
        server = pinned(server_cores, shlex.split(self.servers[name]) + common + ["--exit-after-close"],
                        environment, stdout=subprocess.PIPE)
        try:
            words = read_line(server, deadline, what).split()
            if len(words) != 2 or words[0] != "port":
                raise BenchError(f"{what}: the server did not print its port")
            load = pinned(load_cores, [self.load, "--port", words[1], "--connections", str(connections),
                                       "--depth", str(depth), "--time-limit", str(self.options.time_limit)]
                          + common, stdout=subprocess.PIPE)
            try:
                made = read_line(load, deadline, what)
                if not made or load.wait(2) != 0:
                    raise BenchError(f"{what}: the generator failed")
            finally:
                end(load)
            printed = read_line(server, deadline, what)
        finally:
            end(server)
        if not printed:
            raise BenchError(f"{what}: the server ended without its numbers, status {server.returncode}")
        after = cpu_ticks()
        result = json.loads(printed)
        if not result["complete"]:
            raise BenchError(f"{what}: the server did not see all messages")
        return {"name": name, "row": row, "placement": placement, "server": result, "load": json.loads(made),
                "steal": (after[1] - before[1]) / max(1, after[0] - before[0])}

    def messages_for(self, row, placement):
        """How many messages fill one timed run on this machine."""
        if self.options.messages:
            return self.options.messages
        trial = self.run("floor", row, placement, 20_000)["load"]
        return max(10_000, int(self.options.seconds * 1e9 * trial["messages"] / trial["wall_ns"]))

    def measure(self):
        """All rounds. Rows and placements take turns, so that a slow minute hits all of them."""
        cells = [(row, placement) for row in self.options.rows for placement in self.options.placements]
        messages = {cell: self.messages_for(*cell) for cell in cells}
        rounds = []
        for number in range(self.options.rounds):
            print(f"round {number + 1} of {self.options.rounds}", file=sys.stderr)
            runs = {}
            for cell in random.sample(cells, len(cells)):
                for name in random.sample(list(self.servers), len(self.servers)):
                    runs[name, cell] = self.run(name, *cell, messages[cell])
            rounds.append(runs)
        counted = {(name, row): self.run(name, row, "same", COUNTED_MESSAGES, counted=True)
                   for row in self.options.rows for name in self.servers}
        return cells, rounds, counted


def cpu(run):
    """Server CPU nanoseconds per message."""
    return run["server"]["cpu_ns"] / run["server"]["messages"]


def over_load(run):
    """Server CPU relative to the generator's."""
    return cpu(run) / (run["load"]["cpu_ns"] / run["load"]["messages"])


def both_ends(run, floor):
    """1 + what both processes together pay above the floor, in units of the floor's server CPU."""
    generator = [each["load"]["cpu_ns"] / each["load"]["messages"] for each in (run, floor)]
    return 1 + (cpu(run) + generator[0] - cpu(floor) - generator[1]) / cpu(floor)


def spread(values):
    if len(values) < 2:
        return 0.0
    low, _, high = statistics.quantiles(values, n=4, method="inclusive")
    return (high - low) / 2


def per_message(run, key):
    value = run["server"][key]
    return None if value is None else value / run["server"]["messages"]


def summarise(bench, cells, rounds, counted):
    summary = []
    for cell in cells:
        row, placement = cell
        of = {name: [runs[name, cell] for runs in rounds] for name in bench.servers}
        best = min(bench.floors, key=lambda name: statistics.median(cpu(run) for run in of[name]))
        for name, runs in of.items():
            ratios = [cpu(run) / cpu(floor) for run, floor in zip(runs, of[best])]
            relative = [over_load(run) / over_load(floor) for run, floor in zip(runs, of[best])]
            extra = [both_ends(run, floor) for run, floor in zip(runs, of[best])]
            # A server that does not count its own enters is counted from outside, in the run for that.
            work = [counted[name, row]] if runs[0]["server"]["enters"] is None else runs
            calls = counted[name, row]["server"]
            known = work[0]["server"]["enters"] is not None and work[0]["server"]["enters"] > 0
            middle = statistics.median
            summary.append({
                "name": name, "connections": row[0], "size": row[1], "depth": row[2], "placement": placement,
                "floor": name in bench.floors, "is_divisor": name == best,
                "cpu_ns": middle(cpu(run) for run in runs),
                "enters": middle(per_message(run, "enters") for run in work) if known else None,
                "sqes": middle(per_message(run, "sqes") for run in work) if known else None,
                "allocations": calls["allocations"], "mappings": calls["mappings"],
                "counted_messages": calls["messages"],
                "r": middle(ratios), "r_spread": spread(ratios), "g": middle(relative),
                "g_spread": spread(relative), "x": middle(extra), "x_spread": spread(extra),
                "messages_per_second": middle(run["load"]["messages"] / run["load"]["wall_ns"] * 1e9
                                              for run in runs),
                "p50_us": middle(run["load"]["p50_ns"] for run in runs) / 1e3,
                "p99_us": middle(run["load"]["p99_ns"] for run in runs) / 1e3,
                "p999_us": middle(run["load"]["p999_ns"] for run in runs) / 1e3,
                "steal": max(run["steal"] for run in runs)})
    return summary


def number(value, digits):
    return "-" if value is None else f"{value:.{digits}f}"


def table(summary):
    head = ["conns", "size", "depth", "placement", "server", "CPU ns/msg", "enters/msg", "SQEs/msg",
            "allocs/msg", "R", "G", "X", "msg/s", "p50/p99/p99.9 us"]
    lines = ["| " + " | ".join(head) + " |", "|" + "---|" * len(head)]
    for line in summary:
        lines.append("| " + " | ".join([
            str(line["connections"]), str(line["size"]), str(line["depth"]), line["placement"],
            line["name"] + (" (= 1)" if line["is_divisor"] else ""), number(line["cpu_ns"], 0),
            number(line["enters"], 3), number(line["sqes"], 2), allocations(line),
            f"{line['r']:.3f} +- {line['r_spread']:.3f}", f"{line['g']:.3f} +- {line['g_spread']:.3f}",
            f"{line['x']:.3f} +- {line['x_spread']:.3f}",
            f"{line['messages_per_second']:.0f}",
            f"{line['p50_us']:.0f}/{line['p99_us']:.0f}/{line['p999_us']:.0f}"]) + " |")
    return "\n".join(lines)


def allocations(line):
    """Per message; a few in all of the messages are told as they are."""
    if line["allocations"] is None or line["mappings"] is None:
        return "-"
    total = line["allocations"] + line["mappings"]
    if total * 100 < line["counted_messages"]:
        return f"0 ({total} in {line['counted_messages']})" if total else "0"
    return number(total / line["counted_messages"], 2)


def misses(options, summary):
    """What a server owes, in words."""
    for line in summary:
        where = f"{line['name']}, {line['connections']} x {line['size']} B x {line['depth']}, {line['placement']}"
        if line["floor"]:
            continue
        for key, limit in (("r", options.max_r), ("x", options.max_x)):
            if limit is not None and line[key] > limit:
                yield f"{where}: {key.upper()} is {line[key]:.3f}, the limit is {limit}"
        if options.no_allocations and (line["allocations"] is None or line["allocations"] + line["mappings"] > 0):
            yield f"{where}: {line['allocations']} allocations and {line['mappings']} mappings"


def main():
    options = arguments()
    seed = options.seed if options.seed is not None else random.randrange(1 << 32)
    random.seed(seed)
    try:
        bench = Bench(options)
        cells, rounds, counted = bench.measure()
    except BenchError as error:
        print(f"echo_bench: {error}", file=sys.stderr)
        return 2
    summary = summarise(bench, cells, rounds, counted)
    print(table(summary))
    steal = max(line["steal"] for line in summary)
    print(f"\n{options.rounds} rounds, seed {seed}, at most {steal:.1%} of the machine stolen in one run")
    if options.json:
        with open(options.json, "w") as file:
            json.dump({"seed": seed, "rounds": options.rounds, "servers": bench.servers, "summary": summary,
                       "runs": [run for runs in rounds for run in runs.values()],
                       "counted": list(counted.values())}, file, indent=1)
    missed = list(misses(options, summary))
    for text in missed:
        print(f"missed: {text}")
    return 1 if missed else 0


if __name__ == "__main__":
    sys.exit(main())
