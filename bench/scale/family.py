"""What a message costs when most connections are silent, and with two reactors that share a port."""
import dataclasses

from echo import servers
from harness.contract import Case, Family, Program

# name -> (group, how it is started)
ONE = {
    "floor multishot": ("floor", "floor_multishot"),
    "mobius receive()": ("mobius", "mobius_echo"),
    "mobius protocol": ("mobius", "mobius_protocol_echo"),
    "raw epoll": ("peer", "epoll_echo"),
    "Asio coroutines": ("peer", "asio_coroutine_echo"),
    "libuv": ("peer", "uv_echo"),
}
TWO = {
    "floor, 2 rings": ("floor", "floor_multishot --threads 2"),
    "mobius, 2 reactors": ("mobius", "mobius_echo --threads 2"),
}
ACTIVE = 64


@dataclasses.dataclass(frozen=True)
class Row:
    connections: int
    reactors: int

    def __str__(self):
        active = f", {ACTIVE} active" if self.connections > ACTIVE else ""
        return f"{self.connections} conn{active}, {self.reactors} reactor{'s' if self.reactors > 1 else ''}"

    @property
    def load(self):
        return servers.Load(self.connections, 64, 1, min(ACTIVE, self.connections))

    @property
    def programs(self):
        return ONE if self.reactors == 1 else TWO


ROWS = {str(row): row for row in (Row(connections, reactors) for reactors in (1, 2)
                                  for connections in (10, 100, 1000, 10_000))}
QUICK = (Row(100, 1), Row(10_000, 1), Row(1000, 2))


class Scale(Family):
    name = "scale"
    title = "Echo while most connections are silent"
    packages = ("libasio-dev", "libuv1-dev")
    targets = ("bench_echo",)
    columns = ("cpu_ns_per_op", "ops_per_s", "p50_us", "p99_us", "p999_us", "enters_per_op", "server_share",
               "load_share")
    rounds = {"quick": 3, "full": 9}
    budget = {"quick": 20, "full": 240}
    overhead = 0.4
    notes = ("One reactor: server and generator on one core. Two reactors, each a thread with a listener of its "
             "own on the same port: all threads, the generator's too, share two cores.")

    def __init__(self, context):
        super().__init__(context)
        self.paces = servers.Paces()
        cores = set.union(*(all_of for pair in context.cores.values() for all_of in pair))
        context.cores["both"] = (cores, cores)

    def cases(self):
        for row in QUICK if self.context.mode == "quick" else ROWS.values():
            placement = "same" if row.reactors == 1 else "both"
            for name, (group, _) in row.programs.items():
                if self.context.mode == "full" or group != "peer":
                    yield Case(Program(name, group), str(row), placement)

    def available(self, program):
        return servers.built(self.context, (ONE | TWO)[program.name][1])

    def run(self, case, seconds):
        row = ROWS[case.row]

        def once(messages):
            return servers.metrics(*servers.run(self.context, row.programs[case.program.name][1], row.load,
                                                case.placement, messages, 2000, f"scale: {case}"))

        return self.paces.learn(case, once(self.paces.messages(case, seconds, lambda: once(3000))))


family = Scale
