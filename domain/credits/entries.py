"""Entries as people read them: one movement, with its sign and the words that were said about it."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from domain.faults import NotFound
from schema.credits import EntryType

ENTRY_COLUMNS = (
    "e.id, e.number, e.created_at, e.organization_id, e.type,"
    " case when e.credit = 'credits' then e.amount_micro else -e.amount_micro end as amount_micro,"
    " e.balance_after_micro, e.reason, e.actor, e.reference, e.refund_of, e.idempotency_key, e.requests, e.stored_at,"
    " e.first_at, e.last_at"
)


@dataclass(frozen=True, slots=True)
class LedgerEntry:
    """One entry. `amount_micro` is what it added to the balance: less than 0 for what went out.

    `number` counts the organization's entries from 1 without a gap; balances run on in its order. `requests` and the
    times after it belong to usage: how many requests it stands for, when they were stored, when the first and last ended.
    """

    id: UUID
    number: int
    created_at: datetime
    organization_id: UUID
    type: EntryType
    amount_micro: int
    balance_after_micro: int
    reason: str
    actor: str
    reference: str
    refund_of: UUID | None
    idempotency_key: str | None
    requests: int
    stored_at: datetime | None
    first_at: datetime | None
    last_at: datetime | None


def entry_from(row: Any) -> LedgerEntry:
    """The record of a row of ENTRY_COLUMNS."""
    return LedgerEntry(**{**dict(row), "type": EntryType(row["type"])})


async def fetch_entry(connection: Any, entry_id: UUID) -> LedgerEntry:
    """One entry by its id. Raises NotFound."""
    row = await connection.fetchrow(f"select {ENTRY_COLUMNS} from credit_entry e where e.id = $1", entry_id)
    if row is None:
        raise NotFound(f"There is no ledger entry {entry_id}.")
    return entry_from(row)
