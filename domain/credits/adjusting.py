"""Corrections by operators, up or down. What was posted stays; a correction is an entry of its own."""

from typing import Any
from uuid import UUID

from domain.credit_amounts import credits_text
from domain.credits.booking import Booked, book, valid_amount, valid_words
from domain.credits.granting import grant
from domain.credits.movements import Movement
from domain.credits.posting import AccountRow
from domain.faults import Conflict
from schema.credits import EntryType


class NotAvailable(Conflict):
    """More was to be taken than the organization has, less what is leased and reserved."""

    code = "credits_not_available"


async def adjust(
    connection: Any,
    organization_id: UUID,
    *,
    amount_micro: int,
    reason: str,
    actor: str = "",
    reference: str = "",
    idempotency_key: str | None = None,
) -> Booked:
    """Add credits, or take some for an amount below 0: at most what is available, from grants in their order.

    Raises InvalidValue; NotFound for the organization; KeyReused; NotAvailable.
    """
    if amount_micro > 0:
        return await grant(
            connection,
            organization_id,
            amount_micro=amount_micro,
            reason=reason,
            type=EntryType.ADJUSTMENT,
            actor=actor,
            reference=reference,
            idempotency_key=idempotency_key,
        )
    said, by, number = valid_words(reason, actor, reference)
    movement = Movement(
        organization_id=organization_id,
        type=EntryType.ADJUSTMENT,
        amount_micro=valid_amount(-amount_micro),
        incoming=False,
        reason=said,
        actor=by,
        reference=number,
    )
    asked = {
        "what": "adjust",
        "amount_micro": amount_micro,
        "reason": said,
        "reference": number,
    }

    async def decide(account: AccountRow) -> Movement:
        if movement.amount_micro > account.available_micro:
            raise NotAvailable(
                f"{credits_text(movement.amount_micro)} credits cannot be taken: {credits_text(account.available_micro)}"
                f" of {credits_text(account.balance_micro)} are available."
            )
        return movement

    return await book(connection, organization_id, idempotency_key, asked, decide)
