"""The ledger as the organization's own members read it: by type and time, newest first, each entry with its balance."""

from collections.abc import AsyncIterator
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

from domain.access import Access, Permission
from domain.credits.accounts import Balance, fetch_balance
from domain.credits.entries import ENTRY_COLUMNS, LedgerEntry, entry_from
from domain.credits.ledger_reading import requests_behind
from domain.cursors import Cursor
from domain.databases import Pool
from domain.faults import InvalidValue, NotFound
from domain.log_reading import LogEntry
from domain.log_store.store import LogStore
from schema.credits import EntryType

TYPES = tuple(type_.value for type_ in EntryType)
_EARLIEST, _LATEST = datetime(2000, 1, 1, tzinfo=UTC), datetime(2100, 1, 1, tzinfo=UTC)
_NEXT_EXPIRIES = 5
_EXPORTED_AT_ONCE = 2_000
# Entries of one moment come from one transaction: among them their numbers are the order. Both bounds are always given, so
# that the index serves a plan that is made once for all pages.
_PAGE = f"""
select {ENTRY_COLUMNS} from credit_entry e
 where e.organization_id = $1 and e.created_at >= $2 and e.created_at < $3 and ($4::text is null or e.type = $4)
   and e.created_at <= $5 and (e.created_at < $5
        or e.number < (select number from credit_entry where id = $6 and organization_id = $1))
 order by e.created_at desc, e.number desc limit $7
"""
_EXPIRING = """
select expires_at, sum(remaining_micro)::bigint as amount_micro from credit_grant
 where organization_id = $1 and remaining_micro > 0 and expires_at > now()
 group by expires_at order by expires_at limit $2
"""


@dataclass(frozen=True, slots=True)
class StatementFilter:
    """Which entries: of one type, or of all; from `since` on and before `until`."""

    type: str | None = None
    since: datetime | None = None
    until: datetime | None = None


@dataclass(frozen=True, slots=True)
class StatementPage:
    """Entries, newest first; `older` is None on the last page."""

    entries: list[LedgerEntry]
    older: Cursor | None


@dataclass(frozen=True, slots=True)
class Expiry:
    """At that moment at most so many micro-credits are lost."""

    expires_at: datetime
    amount_micro: int


@dataclass(frozen=True, slots=True)
class OwnBalance:
    """What the organization has, and the next moments at which something of it expires."""

    balance: Balance
    expiries: list[Expiry]


async def own_balance(connection: Any, access: Access) -> OwnBalance:
    """The organization's balance. Raises Forbidden."""
    access.require(Permission.BILLING_VIEW)
    rows = await connection.fetch(_EXPIRING, access.organization_id, _NEXT_EXPIRIES)
    return OwnBalance(await fetch_balance(connection, access.organization_id), [Expiry(**dict(row)) for row in rows])


async def list_statement(
    connection: Any, access: Access, wanted: StatementFilter, *, limit: int, after: Cursor | None = None
) -> StatementPage:
    """The newest entries, or those after a cursor; entries that come meanwhile move no page.

    Raises Forbidden; InvalidValue for a type that is none.
    """
    access.require(Permission.BILLING_VIEW)
    if wanted.type is not None and wanted.type not in TYPES:
        raise InvalidValue(f"The type of an entry is one of {', '.join(TYPES)}.")
    at, key = (_bounded(after.at, _LATEST), after.id) if after else (_LATEST, None)
    bounds = _bounded(wanted.since, _EARLIEST), _bounded(wanted.until, _LATEST)
    rows = await connection.fetch(_PAGE, access.organization_id, *bounds, wanted.type, at, key, limit + 1)
    entries = [entry_from(row) for row in rows[:limit]]
    last = entries[-1] if len(rows) > limit else None
    return StatementPage(entries, Cursor(last.created_at, last.id) if last else None)


async def every_entry(database: Pool, access: Access, wanted: StatementFilter) -> AsyncIterator[list[LedgerEntry]]:
    """All entries in portions, newest first. Between portions no connection is held, however slow the reader is."""
    after: Cursor | None = None
    while True:
        async with database.acquire() as connection:
            page = await list_statement(connection, access, wanted, limit=_EXPORTED_AT_ONCE, after=after)
        if page.entries:
            yield page.entries
        after = page.older
        if after is None:
            return


async def own_entry(connection: Any, access: Access, entry_id: UUID) -> LedgerEntry:
    """One entry of the organization. Raises Forbidden, NotFound."""
    access.require(Permission.BILLING_VIEW)
    row = await connection.fetchrow(
        f"select {ENTRY_COLUMNS} from credit_entry e where e.id = $1 and e.organization_id = $2",
        entry_id,
        access.organization_id,
    )
    if row is None:
        raise NotFound("There is no such ledger entry.")
    return entry_from(row)


async def own_requests_behind(
    connection: Any, access: Access, entry_id: UUID, logs: LogStore, *, limit: int
) -> list[LogEntry]:
    """The log rows of the requests that one of its usage entries stands for, newest first, as far as they are kept.

    Raises Forbidden, NotFound.
    """
    entry = await own_entry(connection, access, entry_id)
    return await requests_behind(connection, entry.id, logs, limit=limit)


def _bounded(at: datetime | None, otherwise: datetime) -> datetime:
    """A moment that the database can hold, whatever somebody asked for."""
    if at is None:
        return otherwise
    if at.year <= _EARLIEST.year:
        return _EARLIEST
    return _LATEST if at.year >= _LATEST.year else at
