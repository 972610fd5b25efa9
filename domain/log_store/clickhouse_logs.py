"""Request logs in ClickHouse, with what it lacks yet out of PostgreSQL: nothing is missing and nothing there twice.

How the two stand is asked first (`outbox.standing`). Rows that were stored from then on are read from PostgreSQL, which
keeps them until they are sent and for a day longer, and all others from ClickHouse: whatever is sent meanwhile.
"""

import time
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

from domain.cursors import Cursor
from domain.log_reading import DEFAULT_SINCE, LogEntry, LogFilter
from domain.log_search import FoundLogs, LogSearch
from domain.log_store import merging
from domain.log_store.clickhouse import SLOW_SECONDS, ClickHouse, micros, moment_of
from domain.log_store.conditions import AROUND_AN_ID, Conditions
from domain.log_store.entries import COLUMNS, entries_of
from domain.log_store.old_requests import OldRequests, old_requests
from domain.log_store.old_rollups import Asked, OldRollups
from domain.log_store.outbox import Standing, standing
from domain.log_store.rollup_reading import has_moved, read_old
from domain.log_store.store import POSTGRES, ChargedIn
from domain.request_ids import time_of

_WIDTHS = (timedelta(hours=6), timedelta(days=2))
"""A search looks at the newest hours first, and at all that is left in its last step."""
_NEWEST_WIDTHS = (timedelta(minutes=1), timedelta(hours=1), timedelta(hours=12))
_BUDGET_SECONDS = 1.0
"""A search takes no further step behind this; a step is given up behind READ_SECONDS."""
_FIRST_OF_ALL = UUID(int=0)

_SERVICE = "select id from service where slug = $1"
_ROWS = f"select {COLUMNS} from request_log where "
_ORDER = " order by at desc, id desc limit {limit:UInt32}"
_OWN = "organization_id = {organization:UUID}"
_ANY = f"select 1 from request_log where {_OWN} limit 1"
_KEPT_DECISION = "select decision from request_log where id = {id:String} and at = fromUnixTimestamp64Micro({at:Int64}, 'UTC') limit 1"
_HAS_ROW = "select exists (select from request_log where id = $1 and at = $2)"
_CHARGED_IN = (
    "select toString(organization_id), toUnixTimestamp64Micro(created_at) from request_log where cost_micro > 0 and "
)


class ClickHouseLogs:
    """One process's way to them. What it raises: see LogStore."""

    def __init__(self, store: ClickHouse) -> None:
        self.store = store

    async def search(
        self, connection: Any, organization_id: UUID, wanted: LogSearch, *, after: Cursor | None = None, limit: int = 50
    ) -> FoundLogs:
        """See LogStore."""
        now = await standing(connection)
        if now is None or not now.ready:
            return await POSTGRES.search(connection, organization_id, wanted, after=after, limit=limit)
        parts = [await self._search(connection, now, organization_id, wanted, after, limit)]
        if (fresh := _not_sent(now, wanted)) is not None:
            parts.append(await POSTGRES.search(connection, organization_id, fresh, after=after, limit=limit))
        return merging.merged(parts, limit)

    async def take_batch(
        self, connection: Any, organization_id: UUID, wanted: LogSearch, *, after: Cursor | None, limit: int
    ) -> FoundLogs:
        """See LogStore."""
        now = await standing(connection)
        if now is None or not now.ready:
            return await POSTGRES.take_batch(connection, organization_id, wanted, after=after, limit=limit)
        conditions = await self._conditions(connection, now, organization_id, wanted)
        parts = [FoundLogs([], None)]
        if conditions is not None:
            conditions.behind(after)
            conditions.between(wanted.since, wanted.until)
            entries = await self._entries(connection, conditions, limit, SLOW_SECONDS)
            parts = [FoundLogs(entries, _end_of(entries) if len(entries) == limit else None)]
        if (fresh := _not_sent(now, wanted)) is not None:
            parts.append(await POSTGRES.take_batch(connection, organization_id, fresh, after=after, limit=limit))
        return merging.merged(parts, limit)

    async def find(self, connection: Any, organization_id: UUID, request_id: UUID) -> LogEntry | None:
        """See LogStore."""
        found = await POSTGRES.find(connection, organization_id, request_id)
        if found is not None or await standing(connection) is None:
            return found
        conditions = Conditions()
        conditions.add(_OWN, organization=organization_id)
        conditions.of_request(request_id)
        entries = await self._entries(connection, conditions, 1)
        return entries[0] if entries else None

    async def has_any(self, connection: Any, organization_id: UUID) -> bool:
        """See LogStore."""
        if await POSTGRES.has_any(connection, organization_id):
            return True
        if await standing(connection) is None:
            return False
        return bool(await self.store.rows(_ANY, {"organization": organization_id}))

    async def newest(self, connection: Any, wanted: LogFilter, limit: int) -> list[LogEntry]:
        """See LogStore."""
        now = await standing(connection)
        if now is None or not now.ready:
            return await POSTGRES.newest(connection, wanted, limit)
        if wanted.request_id is not None and (found := await POSTGRES.newest(connection, wanted, 1)):
            return found
        fresh: list[LogEntry] = []
        if now.stored_from is not None:
            since = max(wanted.since, now.first_at) if wanted.since and now.first_at else now.first_at
            fresh = await POSTGRES.newest(connection, replace(wanted, since=since, stored_from=now.stored_from), limit)
        return merging.newest_first([*fresh, *await self._newest(connection, now, wanted, limit)])[:limit]

    async def charged(
        self,
        connection: Any,
        organization_id: UUID,
        stored_at: datetime,
        between: tuple[datetime, datetime],
        limit: int,
    ) -> list[LogEntry]:
        """See LogStore."""
        now = await standing(connection)
        if now is None or not now.ready or (now.stored_from is not None and stored_at >= now.stored_from):
            return await POSTGRES.charged(connection, organization_id, stored_at, between, limit)
        conditions = Conditions()
        conditions.add(_OWN, organization=organization_id)
        conditions.add("cost_micro > 0")
        conditions.add("created_at = fromUnixTimestamp64Micro({in_batch:Int64}, 'UTC')", in_batch=micros(stored_at))
        conditions.between(between[0], between[1] + timedelta(microseconds=1))
        return await self._entries(connection, conditions, limit)

    async def charged_in(self, connection: Any, request_id: UUID) -> ChargedIn | None:
        """See LogStore."""
        found = await POSTGRES.charged_in(connection, request_id)
        if found is not None or await standing(connection) is None:
            return found
        conditions = Conditions()
        conditions.of_request(request_id)
        rows = await self.store.rows(f"{_CHARGED_IN}{conditions} limit 1", conditions.values)
        return ChargedIn(UUID(rows[0][0]), moment_of(rows[0][1])) if rows else None

    async def decision(self, connection: Any, entry: LogEntry) -> bytes | None:
        """See LogStore."""
        if await connection.fetchval(_HAS_ROW, entry.id, entry.at) or await standing(connection) is None:
            return await POSTGRES.decision(connection, entry)
        rows = await self.store.rows(_KEPT_DECISION, {"id": entry.id, "at": micros(entry.at)})
        return bytes.fromhex(rows[0][0]) if rows and rows[0][0] else None

    async def has_moved(self, connection: Any, since: datetime) -> bool:
        """See LogStore."""
        return await has_moved(connection, since)

    async def rollups(self, connection: Any, asked: Asked) -> OldRollups | None:
        """See LogStore."""
        return await read_old(connection, self.store, asked)

    async def old_requests(self, connection: Any, since: datetime, until: datetime) -> OldRequests | None:
        """See LogStore."""
        return await old_requests(connection, self.store, since, until)

    # -- ClickHouse's part

    async def _search(
        self, connection: Any, now: Standing, organization_id: UUID, wanted: LogSearch, after: Cursor | None, limit: int
    ) -> FoundLogs:
        """Widening stretches of time, until the page is full, all was looked at, or the time is over."""
        deadline = time.monotonic() + _BUDGET_SECONDS
        if await self._conditions(connection, now, organization_id, wanted) is None:
            return FoundLogs([], None)
        found: list[LogEntry] = []
        begin = min(filter(None, (after.at if after else None, wanted.until, datetime.now(UTC))))
        upper: datetime | None = wanted.until
        for width in (*_WIDTHS, None):
            lower = None if width is None else begin - width
            if lower is not None and wanted.since is not None and lower <= wanted.since:
                lower = None
            conditions = await self._conditions(connection, now, organization_id, wanted)
            assert conditions is not None
            conditions.behind(after)
            conditions.between(lower or wanted.since, upper)
            found += await self._entries(connection, conditions, limit + 1 - len(found))
            if len(found) > limit:
                return FoundLogs(found[:limit], _end_of(found[:limit]))
            if lower is None:
                break
            if time.monotonic() >= deadline:
                return FoundLogs(found, Cursor(lower, _FIRST_OF_ALL), lower)
            upper = lower
        return FoundLogs(found, None)

    async def _newest(self, connection: Any, now: Standing, wanted: LogFilter, limit: int) -> list[LogEntry]:
        made = time_of(wanted.request_id) if wanted.request_id else None
        since = wanted.since or (made - AROUND_AN_ID if made else datetime.now(UTC) - DEFAULT_SINCE)
        until = wanted.until or (made + AROUND_AN_ID if made else _tomorrow())
        begin = min(until, datetime.now(UTC))
        found: list[LogEntry] = []
        upper = until
        for width in (*_NEWEST_WIDTHS, None):
            lower = since if width is None else max(since, begin - width)
            conditions = _of_filter(now, wanted)
            conditions.between(lower, upper)
            found += await self._entries(connection, conditions, limit - len(found))
            if len(found) >= limit or lower <= since:
                break
            upper = lower
        return found

    async def _conditions(
        self, connection: Any, now: Standing, organization_id: UUID, wanted: LogSearch
    ) -> Conditions | None:
        """What the rows must fulfil besides their place; None where a service is named that is not there."""
        service_id = await connection.fetchval(_SERVICE, wanted.service) if wanted.service is not None else None
        if wanted.service is not None and service_id is None:
            return None
        conditions = Conditions()
        conditions.add(_OWN, organization=organization_id)
        conditions.stored_before(now.stored_from)
        conditions.of_search(wanted, service_id)
        return conditions

    async def _entries(
        self, connection: Any, conditions: Conditions, limit: int, seconds: float | None = None
    ) -> list[LogEntry]:
        statement = f"{_ROWS}{conditions}{_ORDER}"
        more = {} if seconds is None else {"seconds": seconds}
        return await entries_of(
            connection, await self.store.rows(statement, {**conditions.values, "limit": limit}, **more)
        )


def _of_filter(now: Standing, wanted: LogFilter) -> Conditions:
    conditions = Conditions()
    conditions.stored_before(now.stored_from)
    conditions.of_request(wanted.request_id)
    for name, value in (
        ("organization_id", wanted.organization_id),
        ("key_id", wanted.key_id),
        ("service_id", wanted.service_id),
    ):
        if value is not None:
            conditions.add(f"{name} = {{of_{name}:UUID}}", **{f"of_{name}": value})
    conditions.add("status >= {lowest:Int64}", lowest=wanted.lowest_status)
    conditions.add("status <= {highest:Int64}", highest=wanted.highest_status)
    return conditions


def _not_sent(now: Standing, wanted: LogSearch) -> LogSearch | None:
    """The same search among the rows that the log store lacks; None if it lacks nothing."""
    if now.stored_from is None or now.first_at is None:
        return None
    since = now.first_at if wanted.since is None else max(wanted.since, now.first_at)
    return replace(wanted, since=since, stored_from=now.stored_from)


def _end_of(entries: list[LogEntry]) -> Cursor:
    return Cursor(entries[-1].at, entries[-1].id)


def _tomorrow() -> datetime:
    """Clocks of nodes may be ahead of ours, by less than this."""
    return datetime.now(UTC) + timedelta(days=1)
