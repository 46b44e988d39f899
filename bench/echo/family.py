"""Echo over TCP: what a message costs the server, in every style and beside every peer."""
from echo import servers
from harness.contract import Case, Family, Program

# name -> (group, how it is started)
PROGRAMS = {
    "floor multishot": ("floor", "floor_multishot"),
    "floor single": ("floor", "floor_single"),
    "mobius receive()": ("mobius", "mobius_echo"),
    "mobius read_some": ("mobius", "mobius_echo --read-some"),
    "mobius protocol": ("mobius", "mobius_protocol_echo"),
    "mobius deferred": ("mobius", "mobius_deferred_echo"),
    "raw epoll": ("peer", "epoll_echo"),
    "Asio callbacks": ("peer", "asio_callback_echo"),
    "Asio coroutines": ("peer", "asio_coroutine_echo"),
    "Asio coro io_uring": ("peer", "asio_uring_echo"),
    "libuv": ("peer", "uv_echo"),
    "Twisted": ("peer", "twisted_echo.py"),
}
QUICK = [(64, 64, 1), (64, 16384, 1)]
MATRIX = [(connections, size, depth) for connections in (1, 64, 512) for size in (64, 1024, 16384, 65536)
          for depth in (1, 16)]
PEERS = [(64, 64, 1), (64, 64, 16), (64, 1024, 1), (64, 16384, 1), (64, 65536, 1)]


def size_text(size):
    return f"{size // 1024} KiB" if size >= 1024 else f"{size} B"


def row_text(connections, size, depth):
    return f"{connections} conn, {size_text(size)}, depth {depth}"


class Echo(Family):
    name = "echo"
    title = "Echo over TCP, CPU of the server"
    op = "message"
    columns = ("cpu_ns_per_op", "ops_per_s", "p50_us", "p99_us", "p999_us", "enters_per_op", "sqes_per_op",
               "allocs_per_op", "server_share", "load_share")
    packages = ("libasio-dev", "libuv1-dev", "python3-twisted")
    targets = ("bench_echo",)
    budget = {"quick": 110, "full": 1500}
    overhead = 0.15
    notes = ("Allocations: malloc and mmap families, counted from outside in a run of their own (full: 100 000 "
             "messages after 10 000). The generator is not the bottleneck where its core is not full, or the "
             "server's is.")

    def __init__(self, context):
        super().__init__(context)
        self.paces = servers.Paces()
        self.loads = {row_text(*row): servers.Load(*row) for row in MATRIX}

    def cases(self):
        for row in QUICK if self.context.mode == "quick" else MATRIX:
            for placement in ("same", "split"):
                for name, (group, _) in PROGRAMS.items():
                    wanted = group != "peer" or row in PEERS
                    if wanted:
                        yield Case(Program(name, group), row_text(*row), placement)

    def available(self, program):
        return servers.built(self.context, PROGRAMS[program.name][1])

    def start(self, case, messages, warmup, **options):
        return servers.run(self.context, PROGRAMS[case.program.name][1], self.loads[case.row], case.placement,
                           messages, warmup, f"echo: {case}", **options)

    def run(self, case, seconds):
        window = self.loads[case.row].window
        warmup = max(2000, window)

        def once(messages):
            return servers.metrics(*self.start(case, messages, warmup))

        messages = self.paces.messages(case, seconds, lambda: once(max(3000, window)))
        return self.paces.learn(case, once(messages))

    def countable(self, case):
        # Allocations do not depend on the placement; Python's own pools would hide them.
        return (case.placement == "same" and self.loads[case.row].connections == 64
                and case.program.name != "Twisted")

    def count(self, case):
        messages, warmup = (100_000, 10_000) if self.context.mode == "full" else (20_000, 5_000)
        server, _ = self.start(case, messages, warmup, counted=True)
        return servers.counts(server)


family = Echo
