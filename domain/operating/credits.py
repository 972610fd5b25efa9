"""What operators do to an organization's credits, each with its trace: given, corrected, given back, paid for.

All of it belongs into the caller's transaction: the movement and its trace happen together or not at all.
"""

from dataclasses import dataclass
from datetime import datetime
from typing import Any
from unicodedata import category, normalize
from uuid import UUID

import asyncpg

from domain import audit
from domain.credit_amounts import credits_text
from domain.credits import adjusting, granting, refunding
from domain.credits.entries import LedgerEntry
from domain.faults import Conflict, InvalidValue
from domain.log_store.store import LogStore
from domain.operating.charges import find_charge
from domain.operating.giving import take_room
from domain.organizations import OrganizationRecord
from schema.credits import EntryType

LONGEST_REFERENCE = 120
_ONE_PAYMENT = "uq_credit_entry_payment"
_BOOKED = """
select o.slug, o.name, e.created_at, e.amount_micro from credit_entry e join organization o on o.id = e.organization_id
 where e.idempotency_key = $1 and e.idempotency_key like 'payment:%'
"""


@dataclass(frozen=True, slots=True)
class Payment:
    """Money that came in outside of the product. `reference` names it for good; `paid` is the sum in words."""

    credits_micro: int
    reference: str
    paid: str

    @property
    def key(self) -> str:
        """What is written once, over all organizations."""
        return f"payment:{self.reference}"


async def give(
    connection: Any,
    actor: audit.Actor,
    organization: OrganizationRecord,
    *,
    amount_micro: int,
    kind: EntryType,
    expires_at: datetime | None,
    said: str,
    reason: str,
    most: int,
) -> LedgerEntry:
    """Give credits as a bonus or a purchase; `said` stands in the customer's statement. `most` is the cap of `giving`.

    Raises InvalidValue, Conflict.
    """
    await take_room(connection, actor, amount_micro, most)
    booked = await granting.grant(
        connection,
        organization.id,
        amount_micro=amount_micro,
        reason=said,
        type=kind,
        expires_at=expires_at,
        actor=actor.name,
    )
    after = {"kind": kind.value, "credits": credits_text(amount_micro), "expires_at": expires_at}
    await _trace(connection, actor, audit.Verb.CREDITS_GRANT, _thing(organization), booked.entry, after, reason)
    return booked.entry


async def correct(
    connection: Any,
    actor: audit.Actor,
    organization: OrganizationRecord,
    *,
    amount_micro: int,
    said: str,
    reason: str,
    most: int,
) -> LedgerEntry:
    """Add credits, or take some for an amount below 0. Raises NotAvailable, InvalidValue, Conflict."""
    await take_room(connection, actor, amount_micro, most)
    booked = await adjusting.adjust(
        connection, organization.id, amount_micro=amount_micro, reason=said, actor=actor.name
    )
    after = {"credits": credits_text(amount_micro)}
    await _trace(connection, actor, audit.Verb.CREDITS_ADJUST, _thing(organization), booked.entry, after, reason)
    return booked.entry


async def give_charge_back(
    connection: Any, actor: audit.Actor, charged_id: UUID, logs: LogStore, *, said: str, reason: str
) -> LedgerEntry:
    """Give back what one request or job cost, once. Raises NotFound, Conflict (given back before, or more than is left)."""
    charge = await find_charge(connection, charged_id, logs)
    booked = await refunding.refund(
        connection,
        charge.entry.id,
        amount_micro=charge.amount_micro,
        reason=said,
        actor=actor.name,
        reference=str(charge.id),
        idempotency_key=charge.refund_key,
    )
    if booked.replayed:  # by another one at the same moment
        raise Conflict(f"The charge of this {charge.kind} was given back already.")
    thing = audit.Thing("async_job" if charge.kind == "job" else "request", str(charge.id), str(charge.id))
    after = {"credits": credits_text(booked.entry.amount_micro)}
    await _trace(connection, actor, audit.Verb.CREDITS_REFUND, thing, booked.entry, after, reason)
    return booked.entry


def payment_of(credits_micro: int, reference: str, paid: str) -> Payment:
    """A payment whose reference is in one form, however it was typed. Raises InvalidValue."""
    # NFKC: wide letters, ligatures and accents that are typed apart are the same payment.
    plain = normalize("NFKC", " ".join(normalize("NFKC", reference).split()).upper())
    marked = any(category(character).startswith("M") for character in plain)
    if not 3 <= len(plain) <= LONGEST_REFERENCE or not plain.isprintable() or marked:
        raise InvalidValue(f"The payment's reference has 3 to {LONGEST_REFERENCE} printable characters.")
    return Payment(credits_micro, plain, " ".join(paid.split()))


async def require_unbooked(connection: Any, payment: Payment) -> None:
    """Raise Conflict, which says for whom and when, for a payment that was booked."""
    row = await connection.fetchrow(_BOOKED, payment.key)
    if row is not None:
        raise Conflict(
            f"The payment {payment.reference} was booked for {row['name']} ({row['slug']}) on"
            f" {row['created_at']:%d %b %Y, %H:%M} UTC: {credits_text(row['amount_micro'])} credits."
        )


async def book_payment(
    connection: Any, actor: audit.Actor, organization: OrganizationRecord, payment: Payment, *, reason: str, most: int
) -> LedgerEntry:
    """Credits for money that came in, once for each payment. Raises Conflict, InvalidValue."""
    await require_unbooked(connection, payment)
    await take_room(connection, actor, payment.credits_micro, most)
    try:
        async with connection.transaction():
            booked = await granting.grant(
                connection,
                organization.id,
                amount_micro=payment.credits_micro,
                reason=f"Payment of {payment.paid}",
                type=EntryType.PURCHASE,
                actor=actor.name,
                reference=payment.reference,
                idempotency_key=payment.key,
            )
    except asyncpg.UniqueViolationError as error:
        if error.constraint_name != _ONE_PAYMENT:
            raise
        raise Conflict(f"The payment {payment.reference} was booked for another organization at this moment.") from None
    if booked.replayed:
        raise Conflict(f"The payment {payment.reference} was booked at this moment by somebody else.")
    thing = audit.Thing("credit_entry", str(booked.entry.id), payment.reference)
    after = {"credits": credits_text(payment.credits_micro), "reference": payment.reference, "paid": payment.paid}
    await _trace(connection, actor, audit.Verb.CREDITS_BOOK_PAYMENT, thing, booked.entry, after, reason)
    return booked.entry


def facts_of_entry(entry: LedgerEntry, told: dict[str, Any]) -> tuple[dict[str, Any], dict[str, Any]]:
    """What the audit says of a movement, before and after it: `told`, the entry, and the balance."""
    before = {"balance": credits_text(entry.balance_after_micro - entry.amount_micro)}
    return before, {**told, "entry": entry.id, "balance": credits_text(entry.balance_after_micro)}


async def belongs(connection: Any, actor: audit.Actor, organization_id: UUID) -> bool:
    """Whether who acts is a member of the organization: the audit says so of credits."""
    found = "select true from membership where organization_id = $1 and user_id = $2"
    return actor.id is not None and bool(await connection.fetchval(found, organization_id, actor.id))


def _thing(organization: OrganizationRecord) -> audit.Thing:
    return audit.Thing("organization", str(organization.id), organization.name)


async def _trace(
    connection: Any,
    actor: audit.Actor,
    verb: audit.Verb,
    thing: audit.Thing,
    entry: LedgerEntry,
    told: dict[str, Any],
    reason: str,
) -> None:
    before, after = facts_of_entry(entry, told)
    if await belongs(connection, actor, entry.organization_id):
        after["to_own_organization"] = True
    await audit.record(
        connection,
        actor,
        verb,
        thing,
        organization_id=entry.organization_id,
        before=before,
        after=after,
        reason=reason,
    )
