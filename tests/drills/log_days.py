"""Five days of logs played by an injected clock: a million rows a day, summed up to the row, dropped while rows are written.

    python -m tests.drills.log_days [--rows 1000000]

Its own servers in a temporary folder, some 3 GB. Prints a table; fails if a summary differs from its logs, if a second run
changes anything, or if a writer is held up for longer than a second by a drop.
"""

import argparse
import asyncio
import shutil
import tempfile
import time
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import uuid4

import asyncpg

from cli.supervisor.services import EmbeddedServices
from domain.migrating import migrate
from domain.partitions import ensure_partitions, present_days
from domain.settings import DatabaseSettings, Settings
from jobs import log_partitions, log_summaries
from jobs.work import Work

FIRST = datetime(2026, 6, 1, 12, tzinfo=UTC)
DAYS = 5
DAY = timedelta(days=1)

_FILL = """
insert into request_log (id, at, organization_id, key_id, service_id, operation_id, method, path, status, outcome,
                         upstream_us, total_us, bytes_in, bytes_out, cost_micro)
select gen_random_uuid(), $1::timestamptz + n * interval '1 day' / $2::int,
       ('00000000-0000-4000-8000-' || lpad((n % 100)::text, 12, '0'))::uuid,
       ('00000000-0000-4000-9000-' || lpad((n % 1000)::text, 12, '0'))::uuid,
       ('00000000-0000-4000-a000-' || lpad((n % 3)::text, 12, '0'))::uuid,
       case when n % 7 > 0 then ('00000000-0000-4000-b000-' || lpad((n % 7)::text, 12, '0'))::uuid end,
       'GET', '/v1/items', case when n % 50 = 0 then 429 when n % 40 = 0 then 502 else 200 end,
       case when n % 50 = 0 then 'refused' when n % 40 = 0 then 'failed' else 'served' end,
       1000, (50 * power(10, (n % 600) / 100.0))::bigint, 0, n % 5000, n % 3 * 100
  from generate_series(0, $2::int - 1) as n
"""
_TRUTH = """
select coalesce(organization_id, $1), coalesce(key_id, $1), coalesce(service_id, $1), coalesce(operation_id, $1),
       count(*), count(*) filter (where status >= 400 or outcome in ('failed', 'cut')),
       count(*) filter (where outcome = 'refused' and status >= 400), sum(bytes_in)::bigint, sum(bytes_out)::bigint,
       sum(total_us)::bigint, max(total_us), sum(cost_micro)::bigint
  from {table} group by 1, 2, 3, 4
except
select organization_id, key_id, service_id, operation_id, requests, errors, refused, bytes_in, bytes_out, total_us_sum,
       total_us_max, cost_micro from log_summary where day = $2
"""
_PICTURE = "select md5(string_agg(s::text, ',' order by organization_id, day, key_id, service_id, operation_id)) from log_summary s"


async def timed(work: Awaitable[Any]) -> tuple[float, Any]:
    begun = time.monotonic()
    done = await work
    return time.monotonic() - begun, done


async def drill(dsn: str, rows: int) -> list[str]:
    await migrate(dsn)
    settings = Settings()
    settings.database = DatabaseSettings(url=dsn)
    told = [f"{'day':>10}  {'rows':>9}  {'filled':>7}  {'summed up':>9}  {'again':>6}  {'partitions':>10}  dropped"]
    async with asyncpg.create_pool(dsn, min_size=2, max_size=8, command_timeout=600) as pool:
        run: Callable[[Any, datetime], Any] = lambda job, now: job.run(Work(pool, None, settings, clock=lambda: now))  # noqa: E731
        stop = asyncio.Event()
        writing = asyncio.create_task(write_all_the_time(dsn, stop))
        for number in range(DAYS + 4):
            now = FIRST + number * DAY
            filled = 0.0
            if number < DAYS:
                async with pool.acquire() as connection:
                    await ensure_partitions(connection, now.date(), now.date())
                filled, _ = await timed(pool.execute(_FILL, now.replace(hour=0), rows))
            tomorrow = now + DAY
            summed, done = await timed(run(log_summaries, tomorrow))
            table, day = f"request_log_{now:%Y%m%d}", now.date()
            if number < DAYS:
                zero = "00000000-0000-0000-0000-000000000000"
                assert await pool.fetch(_TRUTH.format(table=table), zero, day) == [], "a summary is not its logs"
                assert await pool.fetchval("select sum(requests) from log_summary where day = $1", day) == rows
            before = await pool.fetchval(_PICTURE)
            again, second = await timed(run(log_summaries, tomorrow))
            assert second["summaries_written"] == 0
            assert await pool.fetchval(_PICTURE) == before, "a second run changed something"
            took, parts = await timed(run(log_partitions, tomorrow))
            assert await pool.fetchval(_PICTURE) == before, "dropping changed a summary"
            async with pool.acquire() as connection:
                days = [one for one in await present_days(connection) if one <= tomorrow.date()]
            told.append(
                f"{day}  {done['rows']:>9}  {filled:>6.1f}s  {summed:>8.2f}s  {again:>5.2f}s  {len(days):>10}"
                f"  {', '.join(parts['dropped']) or '-'} ({took:.2f} s)"
            )
        stop.set()
        writes, longest = await writing
        kept = await pool.fetchval("select sum(requests) from log_summary where day < $1", FIRST.date() + DAYS * DAY)
        assert kept == DAYS * rows
        told.append(f"summaries kept: {await pool.fetchval('select count(*) from log_summary')}, of {kept} requests")
        told.append(f"a writer beside it: {writes} rows, the longest wait {1_000 * longest:.0f} ms")
        pool.terminate()
    return told


async def write_all_the_time(dsn: str, stop: asyncio.Event) -> tuple[int, float]:
    """One row after the other into a day that stays; how many, and the longest wait."""
    connection = await asyncpg.connect(dsn)
    far = FIRST + 300 * DAY
    await ensure_partitions(connection, far.date(), far.date())
    writes, longest = 0, 0.0
    while not stop.is_set():
        took, _ = await timed(
            connection.execute(
                "insert into request_log (id, at, method, path, status, outcome, total_us, bytes_in, bytes_out)"
                " values ($1, $2, 'GET', '/', 200, 'served', 1, 0, 0)",
                uuid4(),
                far,
            )
        )
        writes, longest = writes + 1, max(longest, took)
        await asyncio.sleep(0.002)
    await connection.close()
    return writes, longest


def main() -> None:
    """Run it once."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, default=1_000_000)
    rows = parser.parse_args().rows
    folder = Path(tempfile.mkdtemp(prefix="paid-endpoint-days-"))
    try:
        with EmbeddedServices(folder / "data") as services:
            print("\n".join(asyncio.run(drill(services.database_url, rows))))
    finally:
        shutil.rmtree(folder, ignore_errors=True)


if __name__ == "__main__":
    main()
