"""`python -m tests.drills.lived_in`: the portal of an organization that has lived for months, page by page.

10 million request logs of three days with rollups that equal them, 90 days of older rollups, 5,000 keys, a ledger of
10,000 entries, 50 members, 10,000 audit entries, 1,000 webhook deliveries. Each page and call that only looks is asked for
in this process over ASGI: once cold (after PostgreSQL's start), then five times. The promise: 300 ms.
"""

import asyncio
import contextlib
import dataclasses
import sys
import time
from argparse import Namespace
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory
from typing import Any

import asyncpg

from cli.supervisor.services import EmbeddedServices
from domain.identity.sessions import begin_session
from domain.migrating import migrate
from portal.web.cookies import SESSION, cookie_name
from tests.drills.lived_in_export import drill_export
from tests.drills.lived_in_life import Life, find_life, live
from tests.drills.lived_in_targets import Target, find_targets
from tests.drills.outcome import Outcome, arguments, tell
from tests.portals import Browser, Portal, portal_settings, running_portal

ALLOWED_MS = 300.0
WARM = 5
_FILLING = "set work_mem = '1GB'; set maintenance_work_mem = '1GB'; set synchronous_commit = off"


@dataclasses.dataclass(slots=True)
class Measured:
    """One target. Times in milliseconds; `queries` of one warm request, with their values and times."""

    target: Target
    status: int
    cold_ms: float
    warm_ms: float
    queries: list[Any]

    @property
    def slowest(self) -> Any:
        """The query that took longest."""
        return max(self.queries, key=lambda one: one.elapsed, default=None)

    @property
    def line(self) -> tuple[str, ...]:
        """As it stands in the table."""
        slowest = f"{self.slowest.elapsed * 1000:.1f}" if self.slowest else ""
        mark = "OVER 300 ms" if max(self.cold_ms, self.warm_ms) > ALLOWED_MS else ""
        return (
            self.target.name, str(self.status), f"{self.cold_ms:.0f}", f"{self.warm_ms:.1f}", str(len(self.queries)), slowest, mark,
        )  # fmt: skip


class Recorder:
    """A pool like the portal's that writes down every query."""

    def __init__(self) -> None:
        self.queries: list[Any] = []

    async def watch(self, connection: Any) -> None:
        """For asyncpg's `setup`: called at each acquire."""
        connection.add_query_logger(self.queries.append)

    def taken(self) -> list[Any]:
        """What came since the last time, each once."""
        found = {id(one): one for one in self.queries if not one.query.lower().startswith("with recursive typeinfo")}
        self.queries.clear()
        return list(found.values())


async def measure(portal: Portal, url: str, life: Life) -> tuple[list[Measured], list[str]]:
    """Ask for everything; and what was left out."""
    recorder = Recorder()
    services = portal.app.state.services
    async with asyncpg.create_pool(url, min_size=0, max_size=8, setup=recorder.watch, command_timeout=60) as pool:
        portal.app.state.services = dataclasses.replace(services, database=pool)
        browser = portal.browser()
        token = await begin_session(
            pool, life.owner_id, lasts=timedelta(days=1), address="127.0.0.1", user_agent="Drill"
        )
        browser.client.cookies.set(cookie_name(portal.settings.portal, SESSION), token.text)
        browser.client.timeout = 60
        targets, left_out = await find_targets(pool, life)
        measured = [await _measure_one(browser, recorder, target, life.slug) for target in targets]
        portal.app.state.services = services
    return measured, left_out


async def _measure_one(browser: Browser, recorder: Recorder, target: Target, slug: str) -> Measured:
    times, status = [], 0
    for _ in range(WARM + 1):
        recorder.taken()
        began = time.perf_counter()
        answer = await browser.get(target.path, headers={"pe-organization": slug})
        times.append((time.perf_counter() - began) * 1000)
        status = answer.status_code
    return Measured(target, status, times[0], median(times[1:]), recorder.taken())


async def plan_of(url: str, measured: Measured) -> list[str]:
    """How PostgreSQL runs the slowest query, under the settings that were made before it; nothing is changed."""
    slowest = measured.slowest
    if slowest is None or not slowest.query.lstrip().lower().startswith(("select", "with")):
        return []
    connection = await asyncpg.connect(url, command_timeout=60)
    try:
        transaction = connection.transaction()
        await transaction.start()
        for one in measured.queries:
            if one is slowest:
                break
            if one.query.lower().startswith("set local"):
                await connection.execute(one.query)
        rows = await connection.fetch(f"explain (analyze, buffers, costs off) {slowest.query}", *slowest.args)
        await transaction.rollback()
        return [row[0] for row in rows]
    except asyncpg.PostgresError as fault:
        return [f"no plan: {fault}"]
    finally:
        await connection.close()


@contextlib.asynccontextmanager
async def lived_in(services: EmbeddedServices, rows: int, keys: int) -> AsyncIterator[tuple[Portal, Life]]:
    """The portal on that data, which is written if it is not there yet."""
    settings = portal_settings(services.database_url, services.redis_url, services.data_dir / "mail")
    await migrate(services.database_url)
    connection = await asyncpg.connect(services.database_url, timeout=60)
    try:
        life = await find_life(connection)
        if life is None:
            await connection.execute(_FILLING)
            began = time.monotonic()
            life = await live(connection, settings, rows=rows, keys=keys, now=datetime.now(UTC))
            print(f"written in {time.monotonic() - began:.0f} s", file=sys.stderr)
    finally:
        await connection.close()
    async with running_portal(settings) as portal:
        yield portal, life


async def pages(services: EmbeddedServices, options: Namespace) -> Outcome:
    """Measure all pages and calls."""
    async with lived_in(services, options.rows, options.keys) as (portal, life):
        services.restart_postgres()
        measured, left_out = await measure(portal, services.database_url, life)
        broken = [
            f"{one.target.name} takes {one.cold_ms:.0f} ms cold, {one.warm_ms:.0f} ms warm"
            for one in measured
            if max(one.cold_ms, one.warm_ms) > ALLOWED_MS
        ]
        broken += [f"{one.target.name} answers {one.status}" for one in measured if one.status >= 500]
        if options.plans:
            for one in measured:
                print(f"\n{one.target.name}: {one.line[5]} ms", *await plan_of(services.database_url, one), sep="\n  ")
        head = ("page or call", "status", "cold ms", "warm ms", "queries", "slowest ms", "")
        lines = [one.line for one in measured] + [
            (path, "", "", "", "", "", "no value for its path") for path in left_out
        ]
        title = f"{options.rows:,} logs, {options.keys:,} keys; the promise is {ALLOWED_MS:.0f} ms"
        return Outcome(title, head, lines, broken)


def main() -> int:
    """Run it; the exit status."""
    parser = arguments("lived_in", "Every page of the portal with millions of logs, and an export of them")
    parser.add_argument("--rows", type=int, default=10_000_000)
    parser.add_argument("--keys", type=int, default=5_000)
    parser.add_argument("--keep", type=Path, help="a folder for the data, used again by the next run")
    parser.add_argument("--plans", action="store_true", help="print how the slowest query of each page is run")
    parser.add_argument("--no-pages", action="store_true", help="only the export, of data that was kept")
    parser.add_argument("--export-rows", type=int, default=1_000_000, help="rows of the export; 0: none")
    options = parser.parse_args()
    with contextlib.ExitStack() as stack:
        folder = options.keep or Path(stack.enter_context(TemporaryDirectory(prefix="paid-endpoint-lived-in-")))
        services = stack.enter_context(EmbeddedServices(folder / "data"))
        outcomes = [] if options.no_pages else [asyncio.run(pages(services, options))]
        if options.export_rows:
            outcomes.append(
                asyncio.run(drill_export(services, folder, min(options.export_rows, options.rows), options.rows))
            )
    return tell(outcomes, options)


if __name__ == "__main__":
    sys.exit(main())
