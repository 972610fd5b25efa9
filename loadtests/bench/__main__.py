"""`python -m loadtests.bench` (= `make bench`): the gateway beside what users could pick instead, in one run.

Exit status 1 when the figures may not be used, or with `--gate` when a target is missed; 2 when something is missing
that the run needs.
"""

import argparse
import asyncio
import json
import os
import sys
from datetime import UTC, datetime

from rich.console import Console

from loadtests.bench.audit import Audit, audit, exact_audit
from loadtests.bench.contenders import (
    LOAD_CORE,
    NGINX_GATEWAY,
    NGINX_PROXY,
    OURS,
    PATH,
    SERVER_CORE,
    SINGLE,
    UPSTREAM,
    Contenders,
    contenders,
)  # fmt: skip
from loadtests.bench.machine import describe
from loadtests.bench.nginx import nginx_path
from loadtests.bench.report import markdown, show
from loadtests.bench.result import Result, find_faults
from loadtests.bench.rounds import measure_rounds
from loadtests.bench.targets import targets
from loadtests.bench.wrk import Run, run_wrk, wrk_path
from loadtests.installation import Installation, installation
from loadtests.processes import ROOT, resident_bytes, worker_pids

EXACT = 5_000
PLACEMENT = (
    "Core 0: the server under test, one worker, and the upstream (nginx, one worker that is also both nginx rows), the "
    "same in all rows. Core 1: wrk, PostgreSQL and Valkey."
)
PLACEMENT_WITHOUT_NGINX = PLACEMENT.replace("nginx, one worker that is also both nginx rows", "a stub under uvicorn")


def arguments() -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(prog="python -m loadtests.bench", description=__doc__)
    parser.add_argument("--rounds", type=int, default=3, help="counted rounds (default 3)")
    parser.add_argument("--quick", action="store_true", help="runs of 1 s instead of 5 s: a smoke test, not a figure")
    parser.add_argument("--json", action="store_true", help="print the result as JSON")
    parser.add_argument("--write", action="store_true", help="write docs/benchmarks.md")
    parser.add_argument("--gate", action="store_true", help="exit status 1 when a target is missed")
    return parser.parse_args()


class Bench:
    """Measures rows, and counts every answer of our gateway, warm-ups included."""

    def __init__(self, started: Contenders, console: Console, core: int | None, *, quick: bool) -> None:
        self.started = started
        self.console = console
        self.seconds, self.warm_up = (1, 1) if quick else (5, 2)
        self.core = core
        self.answers = 0
        self.unread = 0

    def measure(self, row: str) -> tuple[Run, Run | None]:
        """Warm up, then measure at 64 connections, and at one where it is asked for."""
        self._run(row, 64, self.warm_up)
        full = self._run(row, 64, self.seconds)
        alone = self._run(row, 1, self.seconds) if row in SINGLE else None
        self.console.print(f"{row:18} {full.rate:10,.0f}/s   p99 {full.p99_us / 1000:8.2f} ms", highlight=False)
        return full, alone

    def _run(self, row: str, connections: int, seconds: int) -> Run:
        url, key = self.started.urls[row], self.started.key
        run = run_wrk(url, key, connections=connections, seconds=seconds, core=self.core)
        if row == OURS:
            self.answers += run.answers
            self.unread += connections
        return run


def bench(made: Installation, started: Contenders, one: Bench, options: argparse.Namespace) -> Result:
    """The whole run, against servers that are up."""
    baseline = NGINX_GATEWAY if NGINX_GATEWAY in started.urls else UPSTREAM
    rounds = measure_rounds(list(started.urls), one.measure, options.rounds, baseline, extra=options.rounds)
    database, organization = made.databases.database_url, started.organization
    audits: dict[str, Audit] = {"wrk": asyncio.run(audit(database, organization, one.answers, one.unread))}
    exact = asyncio.run(exact_audit(database, organization, started.gateway.url, PATH, started.key, EXACT))
    before = audits["wrk"].rows
    audits[f"{EXACT:,} exactly"] = Audit(
        exact.answers, 0, exact.rows - before, exact.not_200, exact.duplicates, exact.seconds
    )
    worker = worker_pids(started.gateway.process.pid)[0]
    return Result(
        machine=describe(), placement=PLACEMENT if nginx_path() else PLACEMENT_WITHOUT_NGINX, seconds=one.seconds, rounds=rounds, targets=targets(rounds),
        audits=audits, worker_megabytes=resident_bytes(worker) / 1e6,
        when=datetime.now(UTC).strftime("%Y-%m-%d %H:%M UTC"), faults=find_faults(rounds, audits),
    )  # fmt: skip


def main() -> int:
    """Run it; see the module."""
    options = arguments()
    console = Console(stderr=options.json, width=None if sys.stdout.isatty() else 130)
    if wrk_path() is None:
        console.print("wrk not found, and without it every row is left out. On Debian: apt-get install wrk")
        return 2
    if nginx_path() is None:
        console.print(
            f"nginx not found: the rows `{NGINX_PROXY}` and `{NGINX_GATEWAY}` (target B1) are left out, and a slower "
            "stub is the upstream. On Debian: apt-get install nginx-light"
        )
    cores = os.sched_getaffinity(0)
    pinned = {SERVER_CORE, LOAD_CORE} <= cores
    if pinned:
        os.sched_setaffinity(
            0, {LOAD_CORE}
        )  # what we start from here on, databases included, stays off the servers' core
    with installation(durable=True) as made, contenders(made, SERVER_CORE if pinned else None) as started:
        one = Bench(started, console, LOAD_CORE if pinned else None, quick=options.quick)
        result = bench(made, started, one, options)
    if options.json:
        print(json.dumps(result.as_dict(), indent=2))
    else:
        show(result, console)
    if options.write:
        (ROOT / "docs" / "benchmarks.md").write_text(markdown(result))
    missed = options.gate and not all(target.held for target in result.targets)
    return 1 if result.faults or missed else 0


if __name__ == "__main__":
    sys.exit(main())
