"""B5: event streams that never stall, and what the gateway adds to each event."""

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass

from loadtests.bench.nginx import nginx_path, start_stream_proxy
from loadtests.bench.result import Lines, Part
from loadtests.bench.stand import Stand
from loadtests.bench.targets import Target, at_least, at_most
from loadtests.installation import Installation
from loadtests.processes import ROOT, Process, family, free_ports, pinned, processor_seconds, worker_pids
from loadtests.streams.seen import Seen

DIRECT, NGINX, OURS = "direct", "nginx proxy_pass", "paid-endpoint"
WANTED, BEST = 256, 512
RUNS = ((WANTED, {DIRECT: 8, NGINX: 8, OURS: 20}), (BEST, {DIRECT: 6, NGINX: 6, OURS: 8}))
"""Streams, and seconds by row."""
PLACEMENT = (
    "Core 0: the gateway's one worker, or nginx. Core 1: the upstream that paces the streams, their reader, PostgreSQL, "
    "Valkey and the gateway's ingester. One event per 20 ms and stream, spread over the period; an event that comes more "
    "than 40 ms after it was sent is a stall."
)


@dataclass(frozen=True, slots=True)
class Row:
    """One run; `busy` is the share of its core that the proxy used, `us_per_event` what an event cost it, `source` the upstream's share."""

    name: str
    seen: Seen
    busy: float
    us_per_event: float
    source: float


@dataclass(frozen=True, slots=True)
class Ways:
    """URL by row, the proxy's process by row, the upstream's process, and the key."""

    urls: dict[str, str]
    pids: dict[str, int]
    source: int
    key: str


def measure_events(made: Installation, stand: Stand) -> Part:
    """The whole part, on servers of its own."""
    rows: list[Row] = []
    with _ways(made, stand) as ways:
        for streams, seconds in RUNS:
            for name in ways.urls:
                row = _run(ways, name, streams, stand.seconds(seconds[name]) + 2, stand)
                rows.append(row)
                stand.say(f"{streams} streams, {name:18} p99 {row.seen.p99_ms:8.2f} ms   {row.seen.stalls} stalls")
    return judge(rows)


def judge(rows: list[Row]) -> Part:
    """The part from its rows."""
    return Part(
        "streams", "B5: event streams",
        targets=_targets(rows), tables={"event streams": _lines(rows)}, notes=[PLACEMENT, _load(rows)], faults=_faults(rows),
        data={"rows": [{"name": row.name, "busy": row.busy, **row.seen.as_dict()} for row in rows]},
    )  # fmt: skip


def _targets(rows: list[Row]) -> list[Target]:
    found = {(row.name, row.seen.streams): row.seen for row in rows}
    ours, direct = found[OURS, WANTED], found[DIRECT, WANTED]
    free = ours.streams - ours.stalled - sum(ours.wrong.values())
    return [
        at_least("B5 streams", "stall-free of 256, one event per 20 ms, one core", WANTED, "streams", free),
        at_most("B5 p99", "added per event, 256 streams", 2.0, "ms", round(ours.p99_ms - direct.p99_ms, 3)),
    ]


def _load(rows: list[Row]) -> str:
    most = max(rows, key=lambda row: row.seen.reader + row.source)
    return (
        f"Core 1 was taken most by {most.seen.streams} streams, {most.name}: upstream {most.source:.0%}, reader "
        f"{most.seen.reader:.0%}; the load is the limit where that comes near to 100 %."
    )


def _faults(rows: list[Row]) -> list[str]:
    faults = []
    for row in rows:
        what = f"{row.seen.streams} streams, {row.name}"
        if row.seen.wrong:
            faults.append(f"{what}: {row.seen.wrong}")
        if row.name == DIRECT and row.seen.streams == WANTED and (row.seen.late or row.seen.stalls):
            faults.append(f"{what}: the upstream and its reader do not keep the pace on this machine")
    return faults


def _lines(rows: list[Row]) -> Lines:
    head = ("streams", "row", "events", "p50 ms", "p99 ms", "p99.9 ms", "max ms", "added p99 ms", "stalls", "stalled streams",
            "core", "us/event")  # fmt: skip
    lines: Lines = [head]
    for row in rows:
        seen = row.seen
        direct = next(one.seen for one in rows if one.name == DIRECT and one.seen.streams == seen.streams)
        late = " (late)" if seen.late else ""
        lines.append((
            str(seen.streams), row.name, f"{seen.events:,} of {seen.expected:,}{late}", f"{seen.p50_ms:.3f}",
            f"{seen.p99_ms:.3f}", f"{seen.p999_ms:.3f}", f"{seen.max_ms:.2f}", f"{seen.p99_ms - direct.p99_ms:.3f}",
            str(seen.stalls), str(seen.stalled), f"{row.busy:.0%}" if row.busy else "",
            f"{row.us_per_event:.1f}" if row.busy else "",
        ))  # fmt: skip
    return lines


@contextmanager
def _ways(made: Installation, stand: Stand) -> Iterator[Ways]:
    upstream, nginx = free_ports(2)
    made.roomy_plan("streams")
    made.service("streams", "/streams", f"http://127.0.0.1:{upstream}")
    made.command("services", "change", "streams", "--set", f"max_connections={2 * BEST}")
    key = made.key(made.organization("Streams", "streams")["slug"], "streams")["key"]
    argv = [sys.executable, "-m", "loadtests.streams.upstream", "--port", str(upstream)]
    with ExitStack() as stack:
        source = Process(
            "streams", argv, made.folder / "streams.log", core=stand.load_core, env={"PYTHONPATH": str(ROOT)}
        )
        stack.enter_context(source.start(upstream))
        urls, pids = {DIRECT: f"http://127.0.0.1:{upstream}/events"}, {}
        if nginx_path():
            proxy = start_stream_proxy(made.folder / "stream-nginx", nginx, upstream, stand.server_core)
            stack.enter_context(proxy)
            urls[NGINX], pids[NGINX] = f"http://127.0.0.1:{nginx}/events", proxy.pid
        gateway = made.gateway(workers=1, core=stand.server_core)
        stack.enter_context(gateway.process)
        made.until_ready(gateway)
        made.place_ingester(gateway, stand.load_core)
        urls[OURS], pids[OURS] = f"{gateway.url}/streams/events", worker_pids(gateway.process.pid)[0]
        yield Ways(urls, pids, source.pid, key)


def _run(ways: Ways, name: str, streams: int, seconds: int, stand: Stand) -> Row:
    pids = family(ways.pids[name]) if name in ways.pids else []
    argv = [sys.executable, "-m", "loadtests.streams.reader", ways.urls[name]]
    argv += ["--streams", str(streams), "--seconds", str(seconds)]
    env = {**os.environ, "PYTHONPATH": str(ROOT), "READER_KEY": ways.key}
    before, source_before = processor_seconds(pids), processor_seconds([ways.source])
    done = subprocess.run(
        pinned(argv, stand.load_core),
        env=env,
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=4 * seconds + 30,
        check=False,
    )
    if done.returncode != 0:
        raise RuntimeError(f"the reader of event streams failed: {done.stderr[-500:]}")
    used = processor_seconds(pids) - before
    seen = Seen(**json.loads(done.stdout))
    source = (processor_seconds([ways.source]) - source_before) / seen.seconds
    return Row(name, seen, used / seen.seconds, used * 1e6 / max(seen.events, 1), source)
