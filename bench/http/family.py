"""HTTP plaintext: what a request costs the server, one at a time and sixteen together."""
import json
import os
import resource
import shutil
import signal
import time

from harness import process
from harness.contract import BenchError, Case, Family, Program
from support import http_sites as sites

# name -> (group, how it is started)
PROGRAMS = {
    "floor": ("floor", ["floor_site"]),
    "mobius": ("mobius", ["mobius_site"]),
    "nginx": ("peer", ["nginx"]),
    "node": ("peer", ["node_site.js"]),
    "Twisted web": ("peer", ["twisted_site.py"]),
}
DEPTHS = {"64 conn, depth 1": 1, "64 conn, depth 16": 16}
CONNECTIONS = 64
NEVER = 1 << 40  # messages before a server's own measurement begins


def children_cpu_ns():
    usage = resource.getrusage(resource.RUSAGE_CHILDREN)
    return (usage.ru_utime + usage.ru_stime) * 1e9


class Http(Family):
    name = "http"
    title = "HTTP plaintext, CPU of the server"
    op = "request"
    columns = ("cpu_ns_per_op", "ops_per_s", "p50_us", "p99_us", "p999_us", "enters_per_op", "sqes_per_op",
               "allocs_per_op", "server_share", "load_share")
    packages = ("nginx", "wrk", "nodejs", "python3-twisted")
    targets = ("bench_http",)
    budget = {"quick": 40, "full": 420}
    overhead = 0.4
    run_seconds = (0.3, 1.0)
    notes = ("wrk with 64 connections over twenty paths, 14 bytes of body. mobius has all its limits, deadlines "
             "and checks on; the floor has none. nginx: one process, `return 200`, no log.")

    def cases(self):
        for row in DEPTHS:
            for placement in ("same", "split"):
                for name, (group, _) in PROGRAMS.items():
                    yield Case(Program(name, group), row, placement)

    def available(self, program):
        command = PROGRAMS[program.name][1][0]
        if command == "nginx":
            return os.path.exists("/usr/sbin/nginx")
        if command.endswith(".js"):
            return shutil.which("node") is not None
        return command.endswith(".py") or os.path.exists(self.context.built(f"http/{command}"))

    def load(self, case, port, seconds):
        """One run of wrk, ended after `seconds`: its own line of JSON, with the CPU that it took."""
        _, cores = self.context.cores[case.placement]
        words = ["wrk", "-t1", f"-c{CONNECTIONS}", "-d3600s", "-s", str(self.context.source / "http" / "wrk.lua"),
                 f"http://127.0.0.1:{port}/", "--", str(DEPTHS[case.row])]
        before = children_cpu_ns()
        with process.running(cores, words, stdout=process.PIPE) as wrk:
            time.sleep(seconds)
            wrk.send_signal(signal.SIGINT)
            printed, _ = wrk.communicate(timeout=10)
        made = json.loads(printed.strip().splitlines()[-1])
        if made["errors"] or not made["requests"]:
            raise BenchError(f"http: {case}: {made['errors']} errors in {made['requests']} requests")
        return made | {"cpu_ns": children_cpu_ns() - before}

    def start(self, case, *options, environment=None):
        name, command = case.program.name, PROGRAMS[case.program.name][1]
        own = ["--size", "1", *options] if command[0].endswith("_site") else []
        cores, _ = self.context.cores[case.placement]
        return sites.serving(self.context, cores, command + own, f"http: {name}", environment)

    def run(self, case, seconds):
        with self.start(case, "--warmup", str(NEVER)) as (server, port):
            sites.check(port, f"http: {case}")
            before = process.cpu_ns(server.pid)
            made = self.load(case, port, seconds)
            cpu = process.cpu_ns(server.pid) - before
            counted = self.own_counts(case, server)
        requests, wall = made["requests"], made["wall_us"] * 1e3
        return {
            "cpu_ns_per_op": cpu / requests,
            "load_cpu_ns_per_op": made["cpu_ns"] / requests,
            "ops_per_s": requests / wall * 1e9,
            # wrk gives 0 where too few batches have ended.
            "p50_us": made["p50_us"] or None, "p99_us": made["p99_us"] or None, "p999_us": made["p999_us"] or None,
            "server_share": 100 * cpu / wall,
            "load_share": 100 * made["cpu_ns"] / wall,
        } | {key: counted[name] / counted["messages"] for key, name in
             (("enters_per_op", "enters"), ("sqes_per_op", "sqes")) if counted and counted[name] is not None}

    @staticmethod
    def own_counts(case, server):
        """What our own servers print at their end."""
        if case.program.group == "peer":
            return None
        server.send_signal(signal.SIGTERM)
        return json.loads(process.read_line(server, 10, f"http: {case}: the server"))

    def countable(self, case):
        return case.program.group != "peer" and case.placement == "same"

    def count(self, case):
        preloaded = dict(os.environ, LD_PRELOAD=self.context.built("support/libcount_alloc.so"))
        with self.start(case, "--warmup", "10000", "--messages", "100000", environment=preloaded) as (server, port):
            answered = 0
            for _ in range(60):
                answered += self.load(case, port, 0.5)["requests"]
                if answered > 120_000:
                    break
            counted = self.own_counts(case, server)
        if not counted["complete"]:
            raise BenchError(f"http: {case}: too few requests to count, {answered}")
        return {"allocs_per_op": (counted["allocations"] + counted["mappings"]) / counted["messages"]}


family = Http
