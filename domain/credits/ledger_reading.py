"""The ledger as people read it: entries newest first, the requests behind a usage entry, and the entry of a request."""

from dataclasses import dataclass
from typing import Any
from uuid import UUID

from domain.credits.entries import ENTRY_COLUMNS, LedgerEntry, entry_from, fetch_entry
from domain.faults import NotFound
from domain.log_reading import LogEntry
from domain.log_store.store import LogStore
from schema.credits import EntryType

_PAGE = f"""
select {ENTRY_COLUMNS} from credit_entry e
 where e.organization_id = $1 and ($2::bigint is null or e.number < $2) and ($3::text is null or e.type = $3)
 order by e.number desc limit $4
"""

_ENTRY_OF_REQUEST = f"""
select {ENTRY_COLUMNS} from credit_entry e
 where e.organization_id = $1 and e.created_at = $2 and e.stored_at = $2 and e.type = 'usage'
"""

_ENTRY_UNDER = f"select {ENTRY_COLUMNS} from credit_entry e where e.organization_id = $1 and e.idempotency_key = $2"


@dataclass(frozen=True, slots=True)
class LedgerPage:
    """Entries, newest first; `older` is what to ask for the next page with, None if this is the last."""

    entries: list[LedgerEntry]
    older: int | None


async def list_entries(
    connection: Any,
    organization_id: UUID,
    *,
    limit: int,
    before: int | None = None,
    type: EntryType | None = None,  # noqa: A002  the ledger calls it so
) -> LedgerPage:
    """The newest `limit` entries, or those before a page's `older`. Entries that come meanwhile move no page."""
    rows = await connection.fetch(_PAGE, organization_id, before, type, limit + 1)
    entries = [entry_from(row) for row in rows[:limit]]
    return LedgerPage(entries, entries[-1].number if len(rows) > limit else None)


async def requests_behind(connection: Any, entry_id: UUID, logs: LogStore, *, limit: int = 1_000) -> list[LogEntry]:
    """The log rows of the requests that a usage entry stands for, newest first, as far as they are still kept.

    Empty for an entry of another type. Raises NotFound.
    """
    entry = await fetch_entry(connection, entry_id)
    if entry.stored_at is None or entry.first_at is None or entry.last_at is None:
        return []
    return await logs.charged(
        connection, entry.organization_id, entry.stored_at, (entry.first_at, entry.last_at), limit
    )


async def entry_behind(connection: Any, request_id: UUID, logs: LogStore) -> LedgerEntry:
    """The usage entry that a charged request is part of, while its log row is kept. Raises NotFound."""
    charged = await logs.charged_in(connection, request_id)
    row = charged and await connection.fetchrow(_ENTRY_OF_REQUEST, *charged)
    if not row:
        raise NotFound(
            f"No ledger entry for a request {request_id}: it cost nothing, or its log row is not kept any more."
        )
    return entry_from(row)


async def entry_under(connection: Any, organization_id: UUID, idempotency_key: str) -> LedgerEntry | None:
    """The organization's entry that was made under that key."""
    row = await connection.fetchrow(_ENTRY_UNDER, organization_id, idempotency_key)
    return None if row is None else entry_from(row)
