"""What an idle connection costs the server in memory of its own."""
import contextlib
import json
import re
import resource
import socket

from echo import servers
from harness import process
from harness.contract import BenchError, Case, Family, Metric, Program

# name -> (group, how it is started)
PROGRAMS = {
    "floor multishot": ("floor", "floor_multishot"),
    "mobius receive()": ("mobius", "mobius_echo"),
    "mobius protocol": ("mobius", "mobius_protocol_echo"),
    "mobius deferred": ("mobius", "mobius_deferred_echo"),
    "raw epoll": ("peer", "epoll_echo"),
    "Asio coroutines": ("peer", "asio_coroutine_echo"),
    "libuv": ("peer", "uv_echo"),
    "Twisted": ("peer", "twisted_echo.py"),
}
CONNECTIONS = 10_000
WARM = 200
MESSAGE = bytes(range(64))


def memory(pid):
    """Resident bytes of a process: (its proportional share, what is private to it)."""
    with open(f"/proc/{pid}/smaps_rollup") as file:
        sizes = dict(re.findall(r"^(\w+):\s+(\d+) kB$", file.read(), re.M))
    return int(sizes["Pss"]) * 1024, (int(sizes["Private_Dirty"]) + int(sizes["Private_Clean"])) * 1024


class Idle(Family):
    name = "idle"
    title = "Memory of an idle connection in the server's own pages"
    op = "connection"
    ratio_of = "bytes_per_connection"
    chart_of = "bytes_per_connection"
    columns = ("bytes_per_connection", "private_bytes", "heap_bytes", "faults_per_op")
    extra_metrics = {"private_bytes": Metric("private pages", "B", 0),
                     "heap_bytes": Metric("malloc", "B", 0),
                     "faults_per_op": Metric("page faults", "", 2)}
    packages = ("libasio-dev", "libuv1-dev", "python3-twisted")
    targets = ("bench_echo",)
    rounds = {"quick": 1, "full": 3}
    budget = {"quick": 15, "full": 60}
    run_seconds = (0, 0)
    overhead = 2.0
    notes = (f"{CONNECTIONS} connections, opened one after the other, each of which has had one message of 64 B "
             "echoed; the growth of the proportional share of resident memory since the first "
             f"{WARM}. malloc is what of it the program has asked for and not given back, pools included. The kernel's "
             "own memory for sockets comes on top, the same for all.")

    def cases(self):
        for name, (group, _) in PROGRAMS.items():
            yield Case(Program(name, group), f"{CONNECTIONS} connections")

    def available(self, program):
        return servers.built(self.context, PROGRAMS[program.name][1])

    def run(self, case, seconds):
        what = f"idle: {case}"
        limit = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
        if limit < CONNECTIONS + WARM + 100:
            raise BenchError(f"{what}: only {limit} open files are allowed (ulimit -Hn)")
        resource.setrlimit(resource.RLIMIT_NOFILE, (limit, limit))
        # The server takes its own two readings of malloc where we take ours of its pages.
        command = servers.command(self.context, PROGRAMS[case.program.name][1]) + [
            "--size", str(len(MESSAGE)), "--warmup", str(WARM), "--messages", str(CONNECTIONS), "--exit-after-close"]
        cores = self.context.cores[case.placement][0]
        with process.running(cores, command, stdout=process.PIPE) as server:
            port = process.read_port(server, what)
            with contextlib.ExitStack() as peers:
                self.connect(peers, port, WARM, what)
                before = memory(server.pid), process.page_faults(server.pid)
                self.connect(peers, port, CONNECTIONS, what)
                after = memory(server.pid), process.page_faults(server.pid)
            heap = json.loads(process.read_line(server, 10, f"{what}: the server")).get("heap_growth")
        return {"bytes_per_connection": (after[0][0] - before[0][0]) / CONNECTIONS,
                "private_bytes": (after[0][1] - before[0][1]) / CONNECTIONS,
                "heap_bytes": None if heap is None else heap / CONNECTIONS,
                "faults_per_op": (after[1] - before[1]) / CONNECTIONS}

    @staticmethod
    def connect(peers, port, count, what):
        """Opens connections from 127.0.0.1 to 127.0.0.8 in turn: one address has only 28 000 ports to give."""
        for number in range(count):
            peer = peers.enter_context(socket.socket())
            peer.settimeout(10)
            peer.bind((f"127.0.0.{1 + number % 8}", 0))
            try:
                peer.connect(("127.0.0.1", port))
                peer.sendall(MESSAGE)
                echoed = peer.recv(len(MESSAGE), socket.MSG_WAITALL)
            except OSError as error:
                raise BenchError(f"{what}: connection {number}: {error}") from error
            if echoed != MESSAGE:
                raise BenchError(f"{what}: connection {number}: a wrong echo")


family = Idle
