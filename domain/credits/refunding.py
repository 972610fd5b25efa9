"""Refunds: of a purchase, credits leave again; of usage, credits come back. In sum never more than the entry moved."""

from typing import Any
from uuid import UUID

from domain.credit_amounts import credits_text
from domain.credits.booking import Booked, book, valid_amount, valid_words
from domain.credits.entries import LedgerEntry, fetch_entry
from domain.credits.movements import Movement
from domain.credits.posting import AccountRow
from domain.faults import Conflict
from schema.credits import EntryType

_REFUNDED = "select coalesce(sum(amount_micro), 0)::bigint from credit_entry where refund_of = $1"
_GRANT = "select id, remaining_micro from credit_grant where entry_id = $1"


class NotRefundable(Conflict):
    """The entry is none that can be given back, or not so much of it."""

    code = "not_refundable"


async def refund(
    connection: Any,
    entry_id: UUID,
    *,
    amount_micro: int | None = None,
    reason: str,
    actor: str = "",
    reference: str = "",
    idempotency_key: str | None = None,
) -> Booked:
    """Give back a purchase or a usage, or a part of it; without an amount, all that can be given back now.

    Of a purchase that is what its grant still holds and is available; of usage, what was captured and not refunded yet:
    it comes back as a grant without expiry. Raises NotFound, InvalidValue, NotRefundable, KeyReused.
    """
    original = await fetch_entry(connection, entry_id)
    given = None if amount_micro is None else valid_amount(amount_micro)
    said, by, number = valid_words(reason, actor, reference)
    asked = {
        "what": "refund",
        "entry": entry_id,
        "amount_micro": given,
        "reason": said,
        "reference": number,
    }

    async def decide(account: AccountRow) -> Movement:
        most, grant_id = await _most(connection, original, account)
        amount = most if given is None else given
        if not 0 < amount <= most:
            raise NotRefundable(
                f"Of the {original.type} {entry_id}, over {credits_text(abs(original.amount_micro))} credits,"
                f" {credits_text(most)} can be given back now."
            )
        return Movement(
            organization_id=original.organization_id,
            type=EntryType.REFUND,
            amount_micro=amount,
            incoming=original.type == EntryType.USAGE,
            grant_id=grant_id,
            refund_of=entry_id,
            reason=said,
            actor=by,
            reference=number,
        )

    return await book(connection, original.organization_id, idempotency_key, asked, decide)


async def _most(connection: Any, original: LedgerEntry, account: AccountRow) -> tuple[int, UUID | None]:
    """What can be given back, and the grant that it is taken from. Raises NotRefundable."""
    left = abs(original.amount_micro) - await connection.fetchval(_REFUNDED, original.id)
    if original.type == EntryType.USAGE:
        return left, None
    if original.type != EntryType.PURCHASE:
        raise NotRefundable(
            f"A {original.type} is not refunded, only a purchase or usage; to correct it, adjust the balance."
        )
    grant = await connection.fetchrow(_GRANT, original.id)
    return min(left, grant["remaining_micro"], account.available_micro), grant["id"]
