"""The end of request logs: whole days are dropped, never deleted row by row, once nobody needs them.

A day goes when it is older than everybody's days and than those of every plan whose organizations have rows in it, when
the rollups hold all of it, and when its summaries do, which the same transaction makes sure of. It takes the lock that
keeps writers of all days out for the moment of the drop, and does not wait for it longer than LOCK_WAIT_MS: whoever
writes logs is held up by no more than that.
"""

import asyncio
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from typing import Any

import asyncpg

from domain.lifecycle import LIVE
from domain.log_summaries import summarise
from domain.partitions import partition_name, present_days

LOCK_WAIT_MS = 250
TRIES = 4
PAUSE_SECONDS = 2.0

# Of subscriptions that ended, too: who left yesterday may still ask for what they were sold.
_WANTED = f"""
select p.slug from subscription s join plan p on p.id = s.plan_id
 where p.log_days >= $1 and (s.state in {LIVE} or s.ended_at > $2::timestamptz - p.log_days * interval '24 hours')
   and exists (select from {{table}} r where r.organization_id = s.organization_id)
 order by p.log_days desc limit 1
"""
_UNFOLDED = "select exists (select from usage_unfolded u join {table} r on r.created_at = u.stored_at)"
# Readers of a log store take everything from PostgreSQL that was stored after the oldest batch that waits, so that stays too.
_UNSENT = """
select exists (select from log_outbox where first_at < $2 and last_at >= $1)
    or exists (select from {table} where created_at >= (select min(stored_at) from log_outbox))
"""
_SHARE = "lock table {table} in share mode"
_DROP = "alter table request_log detach partition {table}; drop table {table}"
_DROPPED = "update log_day set edition = edition + 1, rows = 0, dropped_at = clock_timestamp() where day = $1"


@dataclass(frozen=True, slots=True)
class Dropping:
    """What became of the days that were old enough: gone, or kept with the reason in words."""

    dropped: list[date]
    kept: dict[date, str]


async def drop_expired(connection: Any, now: datetime, days: int) -> Dropping:
    """Drop what is older than `days` whole UTC days and can be dropped. `connection` is in no transaction."""
    dropped: list[date] = []
    kept: dict[date, str] = {}
    today = now.astimezone(UTC).date()
    for day in await present_days(connection):
        age = (today - day).days
        if age <= days:
            break
        reason = await _reason_to_keep(connection, day, age, now) or await drop_day(connection, day)
        if reason:
            kept[day] = reason
        else:
            dropped.append(day)
    return Dropping(dropped, kept)


async def _reason_to_keep(connection: Any, day: date, age: int, now: datetime) -> str:
    table = partition_name(day)
    if plan := await connection.fetchval(_WANTED.format(table=table), age, now):
        return f"plan {plan} keeps it"
    return await reason_needed(connection, day)


async def reason_needed(connection: Any, day: date) -> str:
    """Why the day's table has to stay: somebody has not read it yet; empty if all have."""
    if await connection.fetchval(_UNFOLDED.format(table=partition_name(day))):
        return "the rollups do not hold all of it yet"
    if await is_unsent(connection, day):
        return "not all of it is sent to the log store yet"
    return ""


async def is_unsent(connection: Any, day: date) -> bool:
    """Whether the log store, if there is one, lacks rows that it is to get out of the day's table."""
    first = datetime(day.year, day.month, day.day, tzinfo=UTC)
    statement = _UNSENT.format(table=partition_name(day))
    unsent: bool = await connection.fetchval(statement, first, first + timedelta(days=1))
    return unsent


async def drop_day(connection: Any, day: date) -> str:
    """Sum the day up and drop its table. Empty, or why not: somebody reads it for long."""
    for attempt in range(TRIES):
        if attempt:
            await asyncio.sleep(PAUSE_SECONDS)
        try:
            await _drop_once(connection, day)
        except (asyncpg.LockNotAvailableError, asyncpg.DeadlockDetectedError):
            continue
        return ""
    return "it is in use"


async def note_dropped(connection: Any, day: date) -> None:
    """The day's rows are gone and its summaries stay: what comes later is another edition beside them."""
    await connection.execute(_DROPPED, day)


async def _drop_once(connection: Any, day: date) -> None:
    table = partition_name(day)
    async with connection.transaction():
        await connection.execute(f"set local lock_timeout = {LOCK_WAIT_MS}")
        # No row comes any more while its summary is made sure of; readers go on.
        await connection.execute(_SHARE.format(table=table))
        if await reason_needed(connection, day):
            raise asyncpg.LockNotAvailableError("rows came meanwhile")
        await summarise(connection, day)
        await note_dropped(connection, day)
        await connection.execute(_DROP.format(table=table))


def span(today: date, ahead: int) -> tuple[date, date]:
    """The days that have to have a table: yesterday, today, and so many days after it."""
    return today - timedelta(days=1), today + timedelta(days=ahead)
