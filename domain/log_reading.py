"""Request logs as operators read them: newest first by filter, or followed as they come.

Every query is bounded in time, so that PostgreSQL looks at the partitions of few days only.
"""

import asyncio
import logging
import time
from collections.abc import AsyncIterator
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import asyncpg

from domain.databases import Pool
from domain.request_ids import time_of

log = logging.getLogger(__name__)

DEFAULT_SINCE = timedelta(days=3)
OVERLAP = timedelta(seconds=30)
"""How late a row may be stored and still be followed; later ones are in the list only."""

_AROUND_AN_ID = timedelta(days=1)
_POLL_SECONDS = 0.5
_ROWS_PER_POLL = 1_000


@dataclass(frozen=True, slots=True)
class LogFilter:
    """Which rows; None does not restrict. `status` is one from `lowest_status` to `highest_status`.

    `stored_from` leaves out what was stored before.
    """

    organization_id: UUID | None = None
    key_id: UUID | None = None
    service_id: UUID | None = None
    request_id: UUID | None = None
    lowest_status: int = 0
    highest_status: int = 999
    since: datetime | None = None
    until: datetime | None = None
    stored_from: datetime | None = None


@dataclass(frozen=True, slots=True)
class LogEntry:
    """One row with the names of what it refers to; a name is None if there is none or it was deleted."""

    id: UUID
    at: datetime
    organization: str | None
    key: str | None
    key_id: UUID | None
    service: str | None
    operation: str | None
    method: str
    path: str
    query: str
    status: int
    outcome: str
    refusal: str | None
    limit_name: str | None
    upstream_us: int | None
    total_us: int
    bytes_in: int
    bytes_out: int
    client: str | None
    user_agent: str | None
    cost_micro: int
    trace_id: str | None


_WHERE = """
where r.at >= $1 and r.at < $2
  and ($3::uuid is null or r.organization_id = $3)
  and ($4::uuid is null or r.key_id = $4)
  and ($5::uuid is null or r.service_id = $5)
  and ($6::uuid is null or r.id = $6)
  and r.status between $7 and $8
  and ($9::timestamptz is null or r.created_at >= $9)
"""

NAMED = """
select r.id, r.at, o.slug as organization, k.name as key, r.key_id, s.slug as service, p.name as operation, r.method,
       r.path, r.query, r.status, r.outcome, r.refusal, r.limit_name, r.upstream_us, r.total_us, r.bytes_in,
       r.bytes_out, host(r.client) as client, r.user_agent, r.cost_micro, r.trace_id{}
  from ({}) as r
  left join organization o on o.id = r.organization_id
  left join api_key k on k.id = r.key_id
  left join service s on s.id = r.service_id
  left join operation p on p.id = r.operation_id
 order by r.at desc, r.id desc
"""
"""Statement for rows with their names: to be formatted with further columns, and the statement that finds rows of request_log."""
ENTRIES = NAMED.format("", "select * from request_log r {} order by r.at desc, r.id desc limit {}")
"""The same, to be formatted with a condition on request_log r, and how many at the most."""
_NEWEST_ENTRIES = ENTRIES.format(_WHERE, "$10")
_ENTRIES_BY_ID = ENTRIES.format("where r.at between $1 and $2 and r.id = any($3::uuid[])", "$4")
_CHARGED_ENTRIES = ENTRIES.format(
    "where r.organization_id = $1 and r.created_at = $2 and r.at between $3 and $4 and r.cost_micro > 0", "$5"
)
_IDS = f"select r.id, r.at from request_log r {_WHERE} order by r.at, r.id"


async def list_entries(connection: asyncpg.Connection, wanted: LogFilter, limit: int) -> list[LogEntry]:
    """The newest `limit` rows, newest first. Without `since`, of the last three days."""
    rows = await connection.fetch(_NEWEST_ENTRIES, *_parameters(wanted), limit)
    return [LogEntry(**row) for row in rows]


async def list_charged(
    connection: Any, organization_id: UUID, stored_at: datetime, between: tuple[datetime, datetime], limit: int
) -> list[LogEntry]:
    """Of the rows that were stored in one batch: an organization's with a cost, newest first; they ended `between`."""
    rows = await connection.fetch(_CHARGED_ENTRIES, organization_id, stored_at, *between, limit)
    return [LogEntry(**row) for row in rows]


async def follow(pool: Pool, wanted: LogFilter) -> AsyncIterator[LogEntry]:
    """Every row from `since` (default: now) on, about in the order of time, each once, until cancelled.

    A row that is stored late is still found for OVERLAP: rows of that time are looked through at every poll, and after
    PostgreSQL was away, those of the time before it too. Where more than a thousand rows are new in one poll, the rest
    comes in the next ones. Raises if PostgreSQL is away at the start.
    """
    begin = newest = wanted.since or await pool.fetchval("select now()")
    held, held_until = begin, 0.0
    seen: dict[UUID, datetime] = {}
    while True:
        floor = max(begin, newest - OVERLAP)
        if time.monotonic() < held_until:
            floor = min(floor, held)
        try:
            fresh = await _unseen(pool, replace(wanted, since=floor, until=None), seen)
            entries = await _by_ids(pool, fresh)
        except (OSError, TimeoutError, asyncpg.PostgresError, asyncpg.InterfaceError) as fault:
            log.warning("the database is away, trying again: %s", fault or type(fault).__name__)
            held, held_until = floor, time.monotonic() + OVERLAP.total_seconds()
            await asyncio.sleep(_POLL_SECONDS)
            continue
        for entry in entries:
            yield entry
        seen = {key: at for key, at in seen.items() if at >= floor}
        seen.update((row["id"], row["at"]) for row in fresh)
        if fresh:
            newest = max(newest, fresh[-1]["at"])
        if len(fresh) < _ROWS_PER_POLL:
            await asyncio.sleep(_POLL_SECONDS)


async def _unseen(pool: Pool, window: LogFilter, seen: dict[UUID, datetime]) -> list[Any]:
    rows = await pool.fetch(_IDS, *_parameters(window))
    return [row for row in rows if row["id"] not in seen][:_ROWS_PER_POLL]


async def _by_ids(pool: Pool, fresh: list[Any]) -> list[LogEntry]:
    if not fresh:
        return []
    ids = [row["id"] for row in fresh]
    rows = await pool.fetch(_ENTRIES_BY_ID, fresh[0]["at"], fresh[-1]["at"], ids, len(ids))
    return [LogEntry(**row) for row in reversed(rows)]


def _parameters(wanted: LogFilter) -> tuple[Any, ...]:
    """The parameters of _WHERE. An id of ours tells its day, so one day around it is enough."""
    now = datetime.now(UTC)
    made = time_of(wanted.request_id) if wanted.request_id else None
    since = wanted.since or (made - _AROUND_AN_ID if made else now - DEFAULT_SINCE)
    until = wanted.until or (made + _AROUND_AN_ID if made else now + _AROUND_AN_ID)
    return (
        since,
        until,
        wanted.organization_id,
        wanted.key_id,
        wanted.service_id,
        wanted.request_id,
        wanted.lowest_status,
        wanted.highest_status,
        wanted.stored_from,
    )
