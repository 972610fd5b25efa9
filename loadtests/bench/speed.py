"""B1 to B4: requests per second and latency beside nginx, our bare pass-through and a naive proxy."""

import asyncio
from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

from loadtests.bench.audit import Audit, audit, exact_audit
from loadtests.bench.contenders import FREE, NGINX_GATEWAY, OURS, PATH, SINGLE, UPSTREAM, Contenders, contenders
from loadtests.bench.nginx import nginx_path
from loadtests.bench.result import Lines, Part
from loadtests.bench.rounds import Round, Spread, counted, measure_rounds, spread
from loadtests.bench.stand import Stand
from loadtests.bench.targets import speed_targets
from loadtests.bench.wrk import Run, run_wrk
from loadtests.installation import Installation
from loadtests.processes import resident_bytes, worker_pids

EXACT = 5_000
PLACEMENT = (
    "Core 0: the server under test, one worker, and the upstream (nginx, one worker that is also both nginx rows), the "
    "same in all rows. Core 1: wrk, PostgreSQL, Valkey and the gateway's ingester."
)
PLACEMENT_WITHOUT_NGINX = PLACEMENT.replace("nginx, one worker that is also both nginx rows", "a stub under uvicorn")


def measure_speed(made: Installation, stand: Stand) -> Part:
    """The whole part, on servers of its own."""
    with contenders(made, stand.server_core, stand.load_core) as started:
        return _measure(made, stand, started)


class Rows:
    """Measures rows, and counts every answer of our gateway, warm-ups included."""

    def __init__(self, started: Contenders, stand: Stand) -> None:
        self.started, self.stand = started, stand
        self.answers = 0
        self.unread = 0

    def measure(self, row: str) -> tuple[Run, Run | None]:
        """Warm up, then measure at 64 connections, and at one where it is asked for."""
        self._run(row, 64, self.stand.seconds(2))
        full = self._run(row, 64, self.stand.seconds(5))
        alone = self._run(row, 1, self.stand.seconds(2)) if row in SINGLE else None
        self.stand.say(f"{row:18} {full.rate:10,.0f}/s   p99 {full.p99_us / 1000:8.2f} ms")
        return full, alone

    def _run(self, row: str, connections: int, seconds: int) -> Run:
        url, key = self.started.urls[row], self.started.key
        server, core = self.started.pids[row], self.stand.load_core
        run = run_wrk(url, key, connections=connections, seconds=seconds, core=core, server=server)
        if row in {OURS, FREE}:
            self.answers += run.answers
            self.unread += connections
        return run


def _measure(made: Installation, stand: Stand, started: Contenders) -> Part:
    rows = Rows(started, stand)
    baseline = NGINX_GATEWAY if NGINX_GATEWAY in started.urls else UPSTREAM
    rounds = measure_rounds(list(started.urls), rows.measure, stand.rounds, baseline, extra=stand.rounds)
    worker = worker_pids(started.gateway.process.pid)[0]
    megabytes = resident_bytes(worker) / 1e6
    database, organization = made.databases.database_url, started.organization
    audits = {"wrk": asyncio.run(audit(database, organization, rows.answers, rows.unread))}
    exact = asyncio.run(exact_audit(database, organization, started.gateway.url, PATH, started.key, EXACT))
    before = audits["wrk"].rows
    audits[f"{EXACT:,} exactly"] = Audit(
        exact.answers, 0, exact.rows - before, exact.not_200, exact.duplicates, exact.seconds
    )
    kept = sum(one.counted for one in rounds)
    return Part(
        "speed", "B1 to B4: 64 connections, and one",
        targets=speed_targets(rounds),
        tables={"64 connections": rate_lines(rounds), "log": audit_lines(audits)},
        notes=[
            f"{kept} of {len(rounds)} rounds counted, {stand.seconds(5)} s each.",
            PLACEMENT if nginx_path() else PLACEMENT_WITHOUT_NGINX,
            f"The customer of our row: {', '.join(started.limits)}; an IP list, a scope, a priced operation.",
            f"The gateway's worker held {megabytes:.0f} MB at the end.",
        ],
        faults=find_faults(rounds, audits),
        data=_data(rounds, audits),
    )  # fmt: skip


def _data(rounds: Sequence[Round], audits: dict[str, Audit]) -> dict[str, Any]:
    return {
        "rounds": [{"counted": one.counted, "c64": _runs(one.full), "c1": _runs(one.single)} for one in rounds],
        "log": {name: {**asdict(found), "missing": found.missing} for name, found in audits.items()},
    }


def _runs(by_row: dict[str, Run]) -> dict[str, dict[str, Any]]:
    return {row: {**asdict(run), "rate": round(run.rate, 1)} for row, run in by_row.items()}


def find_faults(rounds: Sequence[Round], audits: dict[str, Audit]) -> list[str]:
    """Runs of ours with anything but 200, answers without exactly one log row, too few rounds to say anything."""
    faults = []
    for number, one in enumerate(rounds, 1):
        faults += [
            f"round {number}, {OURS}: {run.not_200} not 200, {run.broken} broken, {run.answers} in all"
            for run in (one.full.get(OURS), one.full.get(FREE), one.single.get(OURS))
            if run and not run.clean
        ]
    for name, found in audits.items():
        if not found.sound:
            faults.append(f"log after {name}: {found.words}")
    if not any(one.counted for one in rounds):
        faults.append("no round with a quiet machine and nothing but 200 in all rows")
    return faults


def rate_lines(rounds: Sequence[Round]) -> Lines:
    """Head and lines of the throughput table: medians over the counted rounds."""
    lines: Lines = [
        ("row", "requests/s", "least .. most", "p50 ms", "p99 ms", "server us/request", "c1 p50 ms", "c1 p99 ms")
    ]
    for row in rounds[0].full:
        rate = spread(rounds, row, lambda run: run.rate)
        p50 = spread(rounds, row, lambda run: run.p50_us).middle / 1000
        p99 = spread(rounds, row, lambda run: run.p99_us).middle / 1000
        cost = spread(rounds, row, lambda run: run.server_us).middle
        alone = _alone(rounds, row) if row in SINGLE else ("", "")
        bounds = f"{rate.least:,.0f} .. {rate.most:,.0f}"
        lines.append((row, f"{rate.middle:,.0f}", bounds, f"{p50:.2f}", f"{p99:.2f}", f"{cost:.1f}", *alone))
    return lines


def _alone(rounds: Sequence[Round], row: str) -> tuple[str, str]:
    alone = [one.single[row] for one in counted(rounds)]
    p50, p99 = Spread.of([run.p50_us for run in alone]), Spread.of([run.p99_us for run in alone])
    return f"{p50.middle / 1000:.3f}", f"{p99.middle / 1000:.3f}"


def audit_lines(audits: dict[str, Audit]) -> Lines:
    """Head and lines of the log's audit."""
    lines: Lines = [("log after", "answers", "rows", "missing", "twice", "unread at the end <=", "sound")]
    for name, found in audits.items():
        figures = (found.answers, found.rows, found.missing, found.duplicates, found.unread)
        lines.append((name, *(f"{figure:,}" for figure in figures), "yes" if found.sound else "NO"))
    return lines
