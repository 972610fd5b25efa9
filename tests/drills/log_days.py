"""A day in two minutes: five days of traffic, a million rows each, and every job by its schedule under an injected clock.

    python -m tests.drills.log_days [--rows 1000000] [--days 5]        (or: make log-days)

Its own servers in a temporary folder, some 4 GB. The clock begins tomorrow at midnight and goes from one due time of the
registry to the next; each run is begun, locked and noted as by a worker. Then the clock goes on without traffic until all days
are old enough to be dropped. Prints what each job did and how long it took, the partitions of each day before and after, and
the figures. Fails if a job was not run at each of its times or failed, if a summary differs from its rows, if a second run
of all jobs changes anything, or if a writer is held up for longer than a second.

The ledger and the audit take their moments from PostgreSQL, not from the clock of a job: what is to expire there is due at once.
"""

import asyncio
import json
import shutil
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

import asyncpg

from cli.supervisor.services import EmbeddedServices
from domain import keys, organizations
from domain.credits.granting import grant
from domain.job_runs import publish
from domain.migrating import migrate
from domain.partitions import ensure_partitions, partition_name, present_days
from domain.settings import DatabaseSettings, KeySettings, LogSettings, SecretSettings, Settings
from jobs import log_summaries
from jobs.engine.running import Context, Outcome, perform
from jobs.engine.schedule import due_after
from jobs.registry import JOBS, Job
from jobs.work import Work
from tests.databases import PEPPERS
from tests.drills import outcome
from tests.drills.log_days_traffic import Traffic, differences
from tests.integration.jobs.worlds import build
from tests.portals import SECRETS

DAY, HOUR = timedelta(days=1), timedelta(hours=1)
LONGEST_WAIT = 1.0
OTHERS = 2
BONUS = 10**12
KEYS = 20
PLAN = "world-0"
# Everything but the runs themselves; of the logs their number and ids, as rows never change.
_TABLES = """
select c.relname from pg_class c where c.relnamespace = 'public'::regnamespace and c.relkind in ('r', 'p')
   and not c.relispartition and c.relname not in ('job', 'job_run') order by 1
"""
_PICTURE = "select count(*), coalesce(sum(hashtextextended({what}, 0)::numeric), 0) from {table} r"


@dataclass
class Tally:
    """What one job did: `due` by its cron, `ran` to a good end."""

    due: int = 0
    ran: int = 0
    seconds: float = 0.0
    longest: float = 0.0
    did: dict[str, int] = field(default_factory=dict)

    def add(self, seconds: float, result: dict[str, Any]) -> None:
        """One run."""
        self.seconds += seconds
        self.longest = max(self.longest, seconds)
        for name, value in result.items():
            count = len(value) if isinstance(value, list | dict) else value
            if isinstance(count, int) and count:
                self.did[name] = self.did.get(name, 0) + count


class Player:
    """Goes through time. `tallies` by the job's name."""

    def __init__(self, pool: asyncpg.Pool, settings: Settings) -> None:
        self.pool, self.settings = pool, settings
        self.tallies = {job.name: Tally() for job in JOBS}
        self.broken: list[str] = []

    async def play(self, begin: datetime, end: datetime, traffic: Traffic) -> None:
        """Every run that is due from `begin` up to but without `end`, in order, each behind the traffic before it."""
        for at, job in due_in(begin, end):
            await traffic.until(at)
            await self.run(job, at)

    async def run(self, job: Job, at: datetime) -> None:
        """One run at its time."""
        tally = self.tallies[job.name]
        tally.due += 1
        ticket = f"{job.name}-{at:%Y%m%dT%H%M}-{tally.due}"
        context = Context(self.pool, None, self.settings, "drill", clock=lambda: at)
        begun = time.monotonic()
        came = await perform(context, job, ticket)
        seconds = time.monotonic() - begun
        row = await self.pool.fetchrow("select result::text, error from job_run where ticket = $1", ticket)
        if came is not Outcome.SUCCEEDED:
            self.broken.append(f"{job.name} at {at:%d %b %H:%M}: {came.value}, {row and row['error']}")
            return
        tally.ran += 1
        tally.add(seconds, json.loads(row["result"]))


def due_in(begin: datetime, end: datetime) -> Iterator[tuple[datetime, Job]]:
    """All due times of all jobs from `begin` up to but without `end`, in order; of one moment in the registry's order."""
    found = []
    for number, job in enumerate(JOBS):
        at = due_after(job, begin - timedelta(microseconds=1))
        while at < end:
            found.append((at, number, job))
            at = due_after(job, at)
    return ((at, job) for at, _, job in sorted(found, key=lambda one: one[:2]))


async def drill(dsn: str, rows: int, days: int, *, kept: int = 3) -> outcome.Outcome:
    """All of it in the empty database of `dsn`; logs are kept for so many days."""
    await migrate(dsn)
    settings = Settings()
    settings.database, settings.logs = DatabaseSettings(url=dsn), LogSettings(retention_days=kept)
    settings.secrets, settings.keys = SecretSettings(keys=SECRETS), KeySettings(peppers=PEPPERS)
    first = datetime.combine(datetime.now(UTC).date() + DAY, datetime.min.time(), UTC)
    async with asyncpg.create_pool(dsn, min_size=2, max_size=8, command_timeout=600) as pool:
        player = Player(pool, settings)
        async with pool.acquire() as connection:
            await build(connection)
            made = await _customers(connection, settings)
            await ensure_partitions(connection, first.date(), first.date() + days * DAY)
            await publish(connection, [job.record for job in JOBS])
            await connection.execute("analyze")  # as autovacuum would, had the installation lived before
        traffic = Traffic(dsn, first, days, rows, *made)
        stop = asyncio.Event()
        writing = asyncio.create_task(write_all_the_time(dsn, first + 300 * DAY, stop))
        begun = time.monotonic()
        filling = asyncio.create_task(traffic.run())
        lines = await _play(player, traffic, kept)
        await filling
        played = time.monotonic() - begun
        stop.set()
        lines += [("writer beside it", *_waits(player, *await writing))]
        lines += await _again(player, traffic, lines)
        lines += [
            (
                "all of it",
                f"{played:.1f} s, of which {traffic.seconds:.1f} s of writing {rows * days:,} rows beside the jobs",
            )
        ]
        lines += _jobs(player)
        pool.terminate()
    return outcome.Outcome(
        f"{days} days of {rows:,} requests, every job by its schedule", ("what", "figures"), lines, player.broken
    )


async def _customers(connection: Any, settings: Settings) -> tuple[list[UUID], list[UUID]]:
    """Organizations and keys whose traffic it is: those to whom the jobs have something to do, and others."""
    for number in range(OTHERS):
        await organizations.create(connection, name=f"Other {number}", plan_slug=PLAN)
    ids = [
        row["id"] for row in await connection.fetch("select id from organization where state <> 'closed' order by slug")
    ]
    for owner in ids:
        await grant(connection, owner, amount_micro=BONUS, reason="for five days")
    made = [
        await keys.create(connection, settings.keys, organization_id=owner, name=f"key {number}")
        for number in range(KEYS)
        for owner in ids
    ]
    return ids, [one.record.id for one in made]


async def _play(player: Player, traffic: Traffic, kept: int) -> list[tuple[str, ...]]:
    """From the first midnight until the last day of traffic is dropped; a line a day."""
    lines = []
    for number in range(traffic.days + kept + 1):
        begin = traffic.first + number * DAY
        before, seconds = await _partitions(player.pool, begin), time.monotonic()
        await player.play(begin, begin + HOUR, traffic)
        if 0 < number <= traffic.days:
            await _compare(player, (begin - DAY).date(), traffic.rows)
        await player.play(begin + HOUR, begin + DAY, traffic)
        seconds = time.monotonic() - seconds
        after = await _partitions(player.pool, begin)
        rows = f"{traffic.rows:,} requests" if number < traffic.days else "no traffic"
        lines.append((f"{begin:%a %d %b}", f"{rows}; partitions {before} -> {after}; {seconds:.1f} s"))
    days = [(traffic.first + number * DAY).date() for number in range(traffic.days)]
    left = [
        day for day in days if await player.pool.fetchval("select to_regclass($1) is not null", partition_name(day))
    ]
    if left:
        player.broken.append(f"not dropped: {', '.join(map(str, left))}")
    return lines


async def _partitions(pool: asyncpg.Pool, at: datetime) -> str:
    """Of the days up to this one, and how many are made ahead."""
    async with pool.acquire() as connection:
        days = [day for day in await present_days(connection) if day < (at + 100 * DAY).date()]
    past = [f"{day:%d}" for day in days if day <= at.date()]
    return f"[{' '.join(past)}] +{len(days) - len(past)}"


async def _compare(player: Player, day: date, rows: int) -> None:
    """The day that is just over: its summaries and its rows."""
    async with player.pool.acquire() as connection:
        wrong = await differences(connection, partition_name(day), day)
        summed = await connection.fetchval("select sum(requests) from log_summary where day = $1", day)
    if wrong or summed != rows:
        player.broken.append(f"{day}: {wrong} summaries are not their rows, {summed} of {rows} requests are summed up")


async def _again(player: Player, traffic: Traffic, lines: list[tuple[str, ...]]) -> list[tuple[str, ...]]:
    """Every job a second time at the last moment, and each day's summary anew: nothing changes."""
    end = traffic.first + (traffic.days + player.settings.logs.retention_days + 1) * DAY
    for job in JOBS:
        await player.run(job, end)
    before, tallies = await _picture(player.pool), player.tallies
    player.tallies = {job.name: Tally() for job in JOBS}
    for job in JOBS:
        await player.run(job, end)
    player.tallies = tallies
    written = 0
    for number in range(traffic.days):
        day = (traffic.first + number * DAY).date()
        work = Work(player.pool, None, player.settings, clock=lambda: end, arguments={"day": str(day)})
        written += (await log_summaries.run(work))["summaries_written"]
    after = await _picture(player.pool)
    changed = sorted(table for table in before | after if before.get(table) != after.get(table))
    if changed or written:
        player.broken.append(f"a second run changed {', '.join(changed)}; {written} summaries")
    stays = await player.pool.fetchrow(
        "select count(*), sum(requests)::bigint from log_summary where day >= $1 and day < $2",
        traffic.first.date(),
        (traffic.first + traffic.days * DAY).date(),
    )
    if stays[1] != traffic.rows * traffic.days:
        player.broken.append(f"the summaries hold {stays[1]} requests")
    return [
        ("second run of every job", f"{len(before)} tables, {len(changed)} changed"),
        ("summaries that stay", f"{stays[0]:,}, of {stays[1]:,} requests"),
    ]


async def _picture(pool: asyncpg.Pool) -> dict[str, tuple[int, int]]:
    """Number and sum of the rows of every table, in no order."""
    found = {}
    for row in await pool.fetch(_TABLES):
        what = "r.id::text" if row["relname"] == "request_log" else "r::text"
        found[row["relname"]] = tuple(await pool.fetchrow(_PICTURE.format(what=what, table=row["relname"])))
    return found


def _jobs(player: Player) -> list[tuple[str, ...]]:
    lines = []
    for job in JOBS:
        tally = player.tallies[job.name]
        did = ", ".join(f"{count:,} {name.replace('_', ' ')}" for name, count in list(tally.did.items())[:4])
        figures = f"due {tally.due}, ran {tally.ran}, {tally.seconds:.1f} s, longest {tally.longest:.2f} s"
        lines.append((f"{job.name} ({job.cron})", f"{figures}; {did or 'nothing to do'}"))
        if not tally.due or tally.ran < tally.due:
            player.broken.append(f"{job.name} was due {tally.due} times and ran {tally.ran} times")
    return lines


async def write_all_the_time(dsn: str, at: datetime, stop: asyncio.Event) -> tuple[int, float]:
    """One row after the other into a day that stays; how many, and the longest wait in seconds."""
    connection = await asyncpg.connect(dsn)
    await ensure_partitions(connection, at.date(), at.date())
    writes, longest = 0, 0.0
    while not stop.is_set():
        begun = time.monotonic()
        await connection.execute(
            "insert into request_log (id, at, method, path, status, outcome, total_us, bytes_in, bytes_out)"
            " values ($1, $2, 'GET', '/', 200, 'served', 1, 0, 0)",
            uuid4(),
            at,
        )
        writes, longest = writes + 1, max(longest, time.monotonic() - begun)
        await asyncio.sleep(0.02)
    await connection.close()
    return writes, longest


def _waits(player: Player, writes: int, longest: float) -> tuple[str]:
    if longest > LONGEST_WAIT:
        player.broken.append(f"a writer waited for {longest:.2f} s")
    return (f"{writes:,} rows, the longest wait {1_000 * longest:.0f} ms",)


def main() -> int:
    """Run it once."""
    parser = outcome.arguments("log_days", __doc__ or "")
    parser.add_argument("--rows", type=int, default=1_000_000, help="of each day")
    parser.add_argument("--days", type=int, default=5)
    options = parser.parse_args()
    folder = Path(tempfile.mkdtemp(prefix="paid-endpoint-days-"))
    try:
        with EmbeddedServices(folder / "data") as services:
            return outcome.tell([asyncio.run(drill(services.database_url, options.rows, options.days))], options)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


if __name__ == "__main__":
    sys.exit(main())
