"""What traces cost: the same gateway without them, and with none, a tenth and all of its requests sampled."""

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from http.client import HTTPConnection
from typing import Any

from loadtests.bench.collector import Collector
from loadtests.bench.contenders import PATH, customer
from loadtests.bench.ground import answering
from loadtests.bench.result import Part
from loadtests.bench.rounds import Round, measure_rounds, ratio
from loadtests.bench.speed import rate_lines
from loadtests.bench.stand import Stand
from loadtests.bench.targets import Target, at_least
from loadtests.bench.wrk import Run, run_wrk
from loadtests.installation import Gateway, Installation
from loadtests.processes import children, free_port, processor_seconds, worker_pids

OFF = "without traces"
SHARES = {"0 % sampled": "0", "10 % sampled": "0.1", "100 % sampled": "1"}
BOUNDS = {"0 % sampled": 0.97, "10 % sampled": 0.95, "100 % sampled": 0.80}
PLACEMENT = (
    "Core 0: the gateways' workers, of which one has something to do, and the upstream. Core 1: wrk, PostgreSQL, Valkey, "
    "ingesters, tracers and the collector, which takes everything and keeps nothing."
)


@dataclass(slots=True)
class Tracer:
    """What the process that sends a gateway's spans has used and done."""

    gateway: Gateway
    seconds: float = 0.0
    figures: dict[str, float] = field(default_factory=dict)
    before: float = field(init=False)
    """What its start took."""

    def __post_init__(self) -> None:
        self.before = self._used()

    def _used(self) -> float:
        return processor_seconds(children(self.gateway.process.pid, "gateway.tracer"))

    def read(self) -> None:
        """Look now."""
        self.seconds = self._used() - self.before
        connection = HTTPConnection("127.0.0.1", self.gateway.internal_port, timeout=5)
        connection.request("GET", "/metrics")
        lines = connection.getresponse().read().decode().splitlines()
        connection.close()
        named = (line.rpartition(" ") for line in lines if line.startswith("paid_endpoint_span"))
        self.figures = {name.removeprefix("paid_endpoint_"): float(value) for name, _, value in named}

    def line(self, row: str) -> tuple[str, ...]:
        """For the table."""
        sent, dropped = (self.figures.get(f"spans_{what}_total", 0.0) for what in ("exported", "dropped"))
        per_span = self.seconds * 1e6 / sent if sent else 0.0
        return row, f"{sent:,.0f}", f"{dropped:,.0f}", f"{self.seconds:.1f}", f"{per_span:.1f}" if sent else ""


def measure_traces(made: Installation, stand: Stand) -> Part:
    """The whole part, on servers of its own."""
    with answering(made.folder, stand) as upstream, Collector() as collector:
        _, key, _ = customer(made, f"{upstream}/bench")
        with _gateways(made, stand, collector.url) as gateways:
            tracers = {row: Tracer(gateway) for row, gateway in gateways.items()}
            rounds = _rounds(gateways, key, stand)
            for tracer in tracers.values():
                tracer.read()
    table = [("row", "spans sent", "dropped", "tracer s", "tracer us/span")]
    return Part(
        "traces", "Traces: 64 connections, requests sampled or not",
        targets=targets(rounds),
        tables={
            "Traced requests": rate_lines(rounds),
            "Spans": [*table, *(tracer.line(row) for row, tracer in tracers.items() if row != OFF)],
        },
        notes=[f"{stand.seconds(5)} s each.", PLACEMENT],
        faults=[] if any(one.counted for one in rounds) else ["no round with a quiet machine and nothing but 200"],
        data={"spans": {row: {"seconds": one.seconds, **one.figures} for row, one in tracers.items()}},
    )  # fmt: skip


def targets(rounds: list[Round]) -> list[Target]:
    """A share of the rate without traces, for each share of requests that are sampled."""
    return [
        at_least(f"traces {row.partition(' %')[0]}", f"{row} / without traces", bound, "x", ratio(rounds, row, OFF))
        for row, bound in BOUNDS.items()
    ]


@contextmanager
def _gateways(made: Installation, stand: Stand, collector: str) -> Iterator[dict[str, Gateway]]:
    rows: dict[str, dict[str, str]] = {OFF: {}}
    for row, share in SHARES.items():
        sampler = {"OTEL_TRACES_SAMPLER": "parentbased_traceidratio", "OTEL_TRACES_SAMPLER_ARG": share}
        rows[row] = {"OTEL_EXPORTER_OTLP_ENDPOINT": collector, **sampler}
    with ExitStack() as stack:
        gateways = {}
        for number, (row, settings) in enumerate(rows.items()):
            env = {"GATEWAY_STATE_DIR": str(made.folder / f"state{number}"), **settings}
            env["GATEWAY_INTERNAL_PORT"] = str(free_port())
            gateway = gateways[row] = made.gateway(workers=1, core=stand.server_core, env=env)
            stack.enter_context(gateway.process)
            made.until_ready(gateway)
            made.place_ingester(gateway, stand.load_core)
        yield gateways


def _rounds(gateways: dict[str, Gateway], key: str, stand: Stand) -> list[Round]:
    def measure(row: str) -> tuple[Run, None]:
        gateway = gateways[row]
        run: dict[str, Any] = {"core": stand.load_core, "server": worker_pids(gateway.process.pid)[0]}
        run_wrk(f"{gateway.url}{PATH}", key, connections=64, seconds=stand.seconds(2), **run)
        full = run_wrk(f"{gateway.url}{PATH}", key, connections=64, seconds=stand.seconds(5), **run)
        stand.say(f"{row:18} {full.rate:10,.0f}/s   p99 {full.p99_us / 1000:8.2f} ms   {full.server_us:.1f} us")
        return full, None

    return measure_rounds(list(gateways), measure, stand.rounds, OFF, extra=stand.rounds)
