"""The seam: what pages, exports, commands and the ledger ask request logs for, wherever these are.

Two keep it: `PostgresLogs`, and `ClickHouseLogs` where LOG_STORE_URL is set. Each takes a connection of PostgreSQL, which
knows the names of what rows refer to, and which has the rows that were stored last.
"""

from collections.abc import AsyncIterator, Awaitable
from contextlib import asynccontextmanager
from datetime import datetime
from typing import Any, NamedTuple, Protocol, TypeVar
from uuid import UUID

from domain import log_reading, log_search
from domain.cursors import Cursor
from domain.log_reading import LogEntry, LogFilter
from domain.log_search import FoundLogs, LogSearch
from domain.log_store.address import parse_address
from domain.log_store.clickhouse import ClickHouse, LogStoreAway, LogStoreRefused
from domain.log_store.old_requests import OldRequests
from domain.log_store.old_rollups import Asked, OldRollups
from domain.request_ids import time_of
from domain.settings import Settings

T = TypeVar("T")
_DECISION = "select decision from request_log where id = $1 and at = $2"
_CHARGED = """
select organization_id, created_at from request_log where id = $1 and at between $2 and $3 and cost_micro > 0
"""


class ChargedIn(NamedTuple):
    """Whose a charged request is, and when the batch was stored that it is in."""

    organization_id: UUID
    stored_at: datetime


class LogStore(Protocol):
    """Raises what the database raises; TimeoutError where a step takes too long; LogStoreAway, LogStoreRefused."""

    async def search(
        self, connection: Any, organization_id: UUID, wanted: LogSearch, *, after: Cursor | None = None, limit: int = 50
    ) -> FoundLogs:
        """At most `limit` rows of the organization behind `after`, newest first; what is rare may take several calls."""

    async def take_batch(
        self, connection: Any, organization_id: UUID, wanted: LogSearch, *, after: Cursor | None, limit: int
    ) -> FoundLogs:
        """The same for who wants all of them: fewer or none where few match."""

    async def find(self, connection: Any, organization_id: UUID, request_id: UUID) -> LogEntry | None:
        """One row of the organization; None if it is in no log (any more), or another's."""

    async def has_any(self, connection: Any, organization_id: UUID) -> bool:
        """Whether the organization has any row at all."""

    async def newest(self, connection: Any, wanted: LogFilter, limit: int) -> list[LogEntry]:
        """The newest rows of all organizations, newest first."""

    async def charged(
        self,
        connection: Any,
        organization_id: UUID,
        stored_at: datetime,
        between: tuple[datetime, datetime],
        limit: int,
    ) -> list[LogEntry]:
        """Of the rows that were stored in one batch: an organization's with a cost, newest first; they ended `between`."""

    async def charged_in(self, connection: Any, request_id: UUID) -> ChargedIn | None:
        """Where a request was charged; None if it cost nothing, or is in no log (any more)."""

    async def decision(self, connection: Any, entry: LogEntry) -> bytes | None:
        """The decision trace of a row that was read; None if it has none."""

    async def has_moved(self, connection: Any, since: datetime) -> bool:
        """Whether rollups by key that begin at `since` or later may have left PostgreSQL."""

    async def rollups(self, connection: Any, asked: Asked) -> OldRollups | None:
        """Rollups by key that left PostgreSQL; None where it has all that is asked for."""

    async def old_requests(self, connection: Any, since: datetime, until: datetime) -> OldRequests | None:
        """Request logs of days that left PostgreSQL; None where there is nothing but what PostgreSQL has."""


class PostgresLogs:
    """Request logs and rollups in PostgreSQL alone."""

    async def search(
        self, connection: Any, organization_id: UUID, wanted: LogSearch, *, after: Cursor | None = None, limit: int = 50
    ) -> FoundLogs:
        """See LogStore."""
        return await log_search.search_logs(connection, organization_id, wanted, after=after, limit=limit)

    async def take_batch(
        self, connection: Any, organization_id: UUID, wanted: LogSearch, *, after: Cursor | None, limit: int
    ) -> FoundLogs:
        """See LogStore."""
        return await log_search.take_batch(connection, organization_id, wanted, after=after, limit=limit)

    async def find(self, connection: Any, organization_id: UUID, request_id: UUID) -> LogEntry | None:
        """See LogStore."""
        return await log_search.find_log(connection, organization_id, request_id)

    async def has_any(self, connection: Any, organization_id: UUID) -> bool:
        """See LogStore."""
        return await log_search.has_logs(connection, organization_id)

    async def newest(self, connection: Any, wanted: LogFilter, limit: int) -> list[LogEntry]:
        """See LogStore."""
        return await log_reading.list_entries(connection, wanted, limit)

    async def charged(
        self,
        connection: Any,
        organization_id: UUID,
        stored_at: datetime,
        between: tuple[datetime, datetime],
        limit: int,
    ) -> list[LogEntry]:
        """See LogStore."""
        return await log_reading.list_charged(connection, organization_id, stored_at, between, limit)

    async def charged_in(self, connection: Any, request_id: UUID) -> ChargedIn | None:
        """See LogStore."""
        made = time_of(request_id)
        if made is None:
            return None
        around = log_search.AROUND_AN_ID
        row = await connection.fetchrow(_CHARGED, request_id, made - around, made + around)
        return ChargedIn(row["organization_id"], row["created_at"]) if row else None

    async def decision(self, connection: Any, entry: LogEntry) -> bytes | None:
        """See LogStore."""
        trace: bytes | None = await connection.fetchval(_DECISION, entry.id, entry.at)
        return trace

    async def has_moved(self, connection: Any, since: datetime) -> bool:  # noqa: ARG002  another store needs them
        """See LogStore."""
        return False

    async def rollups(self, connection: Any, asked: Asked) -> OldRollups | None:  # noqa: ARG002  another store needs them
        """See LogStore."""
        return None

    async def old_requests(
        self,
        connection: Any,  # noqa: ARG002  another store needs them
        since: datetime,  # noqa: ARG002
        until: datetime,  # noqa: ARG002
    ) -> OldRequests | None:
        """See LogStore."""
        return None


POSTGRES = PostgresLogs()


async def unless_away(asked: Awaitable[T]) -> T | None:
    """What it finds; None while the log store does not answer: for what shows requests beside other things."""
    try:
        return await asked
    except (LogStoreAway, LogStoreRefused):
        return None


@asynccontextmanager
async def open_logs(settings: Settings) -> AsyncIterator[LogStore]:
    """The store that the settings name. Connects when it is used, so that it opens while a server is away."""
    url = settings.logs.store_url.get_secret_value()
    if not url:
        yield POSTGRES
        return
    from domain.log_store.clickhouse_logs import ClickHouseLogs

    async with open_store(url) as store:
        yield ClickHouseLogs(store)


@asynccontextmanager
async def open_store(url: str) -> AsyncIterator[ClickHouse]:
    """The log store itself; closed at the end. Raises ValueError for an address that is none."""
    store = ClickHouse(parse_address(url))
    try:
        yield store
    finally:
        await store.close()
