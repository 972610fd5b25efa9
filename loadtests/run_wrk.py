"""`python -m loadtests.run_wrk` (= `make load-wrk`): mixed keys at full speed, with budgets.

Three kinds of callers at once, each its own wrk: a thousand keys that have room, some with a small limit, and keys that
nobody issued. Exit status 1 when a budget of budgets.toml is passed.
"""

import argparse
import asyncio
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path

from rich.console import Console
from rich.table import Table

from loadtests.bench.ground import answering, settle_in
from loadtests.bench.scale import MANY, sizes
from loadtests.bench.stand import Stand
from loadtests.bench.wrk import Mix, Run, parse, wrk_command, wrk_path
from loadtests.budgets import Measured, hours_touched, load_budgets, passed
from loadtests.crowd import Crowd, lines
from loadtests.installation import Installation, installation

CONNECTIONS = {"paying": 48, "free": 8, "abusive": 8}
FREE_CUSTOMERS = 3


def arguments() -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(prog="python -m loadtests.run_wrk", description=__doc__)
    parser.add_argument("--seconds", type=int, default=30, choices=range(1, 3601), metavar="1..3600")
    parser.add_argument("--workers", type=int, default=2, help="gateway workers (default 2)")
    return parser.parse_args()


def furnish(made: Installation, crowd: Crowd, upstream: str) -> dict[str, Path]:
    """Customers of each kind; a file of requests for each."""
    asyncio.run(settle_in(made, crowd, upstream))
    per_hour = load_budgets("wrk")["free"].per_hour or 0
    made.plan("free-load", [f"{per_hour // FREE_CUSTOMERS}/hour"])
    free = []
    for number in range(FREE_CUSTOMERS):
        organization = made.organization(f"Free {number}", "free-load")
        free.append(made.key(organization["slug"], "load")["key"])
    nobody = Crowd(crowd.keys, crowd.organizations, crowd.operations, crowd.seed[::-1])
    operations = list(range(crowd.operations))
    texts = {
        "paying": lines(crowd, crowd.spread(MANY), operations),
        "free": "".join(f"{crowd.path(number, number)} {key}\n" for number, key in enumerate(free)),
        "abusive": lines(nobody, nobody.spread(MANY), operations),
    }
    files = {kind: made.folder / f"{kind}.txt" for kind in texts}
    for kind, file in files.items():
        file.write_text(texts[kind])
    return files


def load(url: str, files: dict[str, Path], seconds: int) -> dict[str, tuple[Run, dict[int, int]]]:
    """All kinds at once. Raises RuntimeError, subprocess.TimeoutExpired."""
    running = {}
    try:
        for kind, file in files.items():
            argv = wrk_command(Mix(url, file=file), connections=CONNECTIONS[kind], seconds=seconds, core=None)
            running[kind] = subprocess.Popen(argv, stdout=subprocess.PIPE, text=True)
        return {kind: parse(child.communicate(timeout=seconds + 60)[0]) for kind, child in running.items()}
    finally:
        for child in running.values():
            child.kill()
            child.wait()


def judge(seen: dict[str, tuple[Run, dict[int, int]]], hours: int) -> list[str]:
    """Budgets that were passed. wrk says p90 and p99: the stricter of them stands for p95."""
    measured = {
        kind: Measured(
            run.answers, run.broken, run.p90_us / 1000, run.p99_us / 1000, statuses, unread=CONNECTIONS[kind]
        )
        for kind, (run, statuses) in seen.items()
    }
    return passed(load_budgets("wrk"), measured, hours)


def show(seen: dict[str, tuple[Run, dict[int, int]]]) -> None:
    """Print it."""
    table = Table("caller", "connections", "answers/s", "p50 ms", "p99 ms", "answers by status", "broken")
    for kind, (run, statuses) in seen.items():
        listed = ", ".join(f"{count:,} x {status}" for status, count in sorted(statuses.items()))
        table.add_row(
            kind, str(CONNECTIONS[kind]), f"{run.rate:,.0f}", f"{run.p50_us / 1000:.2f}", f"{run.p99_us / 1000:.2f}",
            listed, str(run.broken),
        )  # fmt: skip
    Console(width=None if sys.stdout.isatty() else 130).print(table)


def main() -> int:
    """See the module."""
    options = arguments()
    if wrk_path() is None:
        print("wrk not found. On Debian: apt-get install wrk")
        return 2
    stand = Stand(Console())
    with installation() as made, answering(made.folder, stand) as upstream:
        files = furnish(made, sizes(quick=True).small, upstream)
        gateway = made.gateway(workers=options.workers)
        with gateway.process:
            made.until_ready(gateway)
            began = datetime.now(UTC)
            seen = load(gateway.url, files, options.seconds)
            hours = hours_touched(began, datetime.now(UTC))
    show(seen)
    found = judge(seen, hours)
    for line in found:
        print(f"BUDGET PASSED: {line}")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
