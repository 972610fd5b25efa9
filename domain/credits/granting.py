"""Credits that come to an organization: bought, given, or corrected upwards."""

from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from domain.credit_amounts import MICRO, credits_text
from domain.credits.booking import Booked, book, valid_amount, valid_words
from domain.credits.movements import DEFAULT_PRIORITY, Movement
from domain.credits.posting import AccountRow
from domain.faults import Conflict, InvalidValue
from domain.webhooks.announcing import credits_granted
from schema.credits import EntryType

PRIORITIES = {EntryType.BONUS: 10, EntryType.PURCHASE: DEFAULT_PRIORITY, EntryType.ADJUSTMENT: DEFAULT_PRIORITY}
"""What burns first, unless said otherwise: what was given, then what was paid for."""

HIGHEST_BALANCE = 1_000_000_000_000 * MICRO
"""A thousand times the largest grant; far from where 64 bits end."""


async def grant(
    connection: Any,
    organization_id: UUID,
    *,
    amount_micro: int,
    reason: str,
    type: EntryType = EntryType.BONUS,  # noqa: A002  the ledger calls it so
    priority: int | None = None,
    expires_at: datetime | None = None,
    expires_in: timedelta | None = None,
    actor: str = "",
    reference: str = "",
    idempotency_key: str | None = None,
) -> Booked:
    """Give credits: a purchase, a bonus, or an adjustment upwards; what remains of them at their expiry is lost.

    An expiry is a moment, or a span from now on: with a span, a repeated request is still the same request.
    Raises InvalidValue; NotFound for the organization; KeyReused; Conflict above HIGHEST_BALANCE.
    """
    if type not in PRIORITIES:
        raise InvalidValue(f"Credits come by {', '.join(PRIORITIES)}; not by {type}.")
    burns_at = PRIORITIES[type] if priority is None else priority
    if not 0 <= burns_at <= 100:
        raise InvalidValue("The priority lies between 0 and 100; the lowest burns first.")
    _check_expiry(expires_at, expires_in)
    said, by, number = valid_words(reason, actor, reference)
    movement = Movement(
        organization_id=organization_id,
        type=type,
        amount_micro=valid_amount(amount_micro),
        incoming=True,
        priority=burns_at,
        reason=said,
        actor=by,
        reference=number,
    )
    asked = {
        "what": "grant",
        "type": type,
        "amount_micro": amount_micro,
        "priority": burns_at,
        "expires_at": expires_at,
        "expires_in": expires_in,
        "reason": said,
        "reference": number,
    }

    async def decide(account: AccountRow) -> Movement:
        if account.balance_micro + amount_micro > HIGHEST_BALANCE:
            raise Conflict(f"A balance is at most {credits_text(HIGHEST_BALANCE)} credits.")
        expiring = await _expiring(connection, movement, expires_at, expires_in)
        await credits_granted(
            connection, organization_id, kind=type, amount_micro=amount_micro, expires_at=expiring.expires_at
        )
        return expiring

    return await book(connection, organization_id, idempotency_key, asked, decide)


def _check_expiry(expires_at: datetime | None, expires_in: timedelta | None) -> None:
    if expires_at is not None and expires_in is not None:
        raise InvalidValue("Credits expire at a moment or after a span, not both.")
    if expires_at is not None and expires_at.tzinfo is None:
        raise InvalidValue("The moment of expiry has no time zone.")


async def _expiring(
    connection: Any, movement: Movement, expires_at: datetime | None, expires_in: timedelta | None
) -> Movement:
    """The movement with its expiry. Raises InvalidValue for one that is past."""
    if expires_at is None and expires_in is None:
        return movement
    now: datetime = await connection.fetchval("select now()")
    moment = now + expires_in if expires_in is not None else expires_at
    if moment is None or moment <= now:
        raise InvalidValue("Credits expire in the future.")
    return replace(movement, expires_at=moment)
