"""HTTP client: what a GET costs who asks, over 64 connections to nginx."""
import json
import os

from harness import process
from harness.contract import Case, Family, Program
from support import http_sites as sites

# name -> (group, how it is started)
PROGRAMS = {
    "mobius coroutines": ("mobius", "mobius_coroutine_client"),
    "mobius deferreds": ("mobius", "mobius_deferred_client"),
    "curl multi": ("peer", "curl_client"),
    "Twisted Agent": ("peer", "twisted_client.py"),
}
REQUESTS = 10_000
ROW = "10 000 GETs, 64 conn"


class Client(Family):
    name = "client"
    title = "HTTP client against nginx, CPU of the client"
    op = "GET"
    columns = ("cpu_ns_per_op", "ops_per_s", "allocs_per_op")
    packages = ("nginx", "libcurl4-openssl-dev", "python3-twisted")
    targets = ("bench_client",)
    budget = {"quick": 15, "full": 120}
    overhead = 1.0
    run_seconds = (0, 0)
    notes = "There is no floor here: compare the programs. nginx has the other core; every answer is checked."

    def __init__(self, context):
        super().__init__(context)
        self.server = None

    def cases(self):
        for name, (group, _) in PROGRAMS.items():
            yield Case(Program(name, group), ROW, "split")

    def command(self, program):
        file = PROGRAMS[program.name][1]
        if file.endswith(".py"):
            return [sites.python(), str(self.context.source / "client" / file)]
        return [self.context.built(f"client/{file}")]

    def available(self, program):
        return os.path.exists("/usr/sbin/nginx") and os.path.exists(self.command(program)[-1])

    def port(self):
        """The port of the nginx that all runs share; started for the first."""
        if self.server is None:
            _, cores = self.context.cores["split"]
            self.server = sites.serving(self.context, cores, ["nginx"], "client: nginx")
            _, self.nginx_port = self.server.__enter__()
            sites.check(self.nginx_port, "client: nginx")
        return self.nginx_port

    def close(self):
        if self.server is not None:
            self.server.__exit__(None, None, None)
            self.server = None

    def once(self, case, environment=None):
        cores, _ = self.context.cores["split"]
        words = self.command(case.program) + ["--url", f"http://127.0.0.1:{self.port()}", "--requests", str(REQUESTS)]
        with process.running(cores, words, environment, stdout=process.PIPE) as client:
            return json.loads(process.read_line(client, 60, f"client: {case}"))

    def run(self, case, seconds):
        made = self.once(case)
        return {"cpu_ns_per_op": made["cpu_ns"] / made["requests"],
                "ops_per_s": made["requests"] / made["wall_ns"] * 1e9}

    def countable(self, case):
        return not PROGRAMS[case.program.name][1].endswith(".py")

    def count(self, case):
        preloaded = dict(os.environ, LD_PRELOAD=self.context.built("support/libcount_alloc.so"))
        made = self.once(case, preloaded)
        return {"allocs_per_op": made["allocations"] / made["requests"]}


family = Client
