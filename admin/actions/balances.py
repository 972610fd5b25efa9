"""Actions on an organization's credits: given, corrected, given back for one request, booked for a payment."""

from typing import Annotated, Literal
from uuid import UUID

from pydantic import Field as Constraint

from admin.actions.action import Action, Field, Outcome, Preview, Values
from admin.actions.kinds import Credits, Moment, SignedCredits
from admin.actions.organization_field import ORGANIZATION, Slug
from admin.actions.wording import credits_, to_organization, utc
from admin.web.visit import Visit
from domain.credits.accounts import fetch_balance
from domain.credits.adjusting import NotAvailable
from domain.faults import InvalidValue
from domain.operating import credits as operating
from domain.operating.charges import find_charge
from domain.operating.giving import given_lately, require_room
from domain.operators import Right
from domain.organizations import OrganizationRecord, fetch_organization
from schema.credits import EntryType

Said = Annotated[str, Constraint(min_length=1, max_length=200)]
SAID = Field("said", "What the customer reads", hint="In their statement, beside the amount.")


class Grant(Values):
    """How many credits for whom."""

    organization: Slug
    credits: Credits
    kind: Literal["bonus", "purchase"] = "bonus"
    expires_at: Moment | None = None
    said: Said


class Adjustment(Values):
    """How many credits more, or fewer."""

    organization: Slug
    credits: SignedCredits
    said: Said


class Refund(Values):
    """Which request's charge."""

    request_id: UUID
    said: Said


class BankTransfer(Values):
    """Which payment, for whom, and what it buys."""

    organization: Slug
    credits: Credits
    paid: Annotated[str, Constraint(pattern=r"^[0-9]{1,9}(\.[0-9]{2})? [A-Z]{3}$")]
    reference: Annotated[str, Constraint(min_length=3, max_length=operating.LONGEST_REFERENCE)]

    @property
    def payment(self) -> operating.Payment:
        """The same for the domain."""
        return operating.payment_of(self.credits, self.reference, self.paid)


async def _preview_giving(visit: Visit, values: Grant) -> Preview:
    found = await fetch_organization(visit.connection, values.organization)
    now = await visit.connection.fetchval("select now()")
    if values.expires_at is not None and values.expires_at <= now:
        raise InvalidValue(f"Credits expire in the future; {utc(values.expires_at)} is past.")
    await require_room(visit.connection, visit.actor, values.credits, _most(visit))
    end = f"What is left of them on {utc(values.expires_at)} is lost." if values.expires_at else "They never expire."
    burned = "before what was bought" if values.kind == "bonus" else "after what was given"
    return Preview(
        (
            f"{found.name} gets {credits_(values.credits)} credits, as a {values.kind}. {end}",
            f"They are spent {burned}. The statement says: {values.said}",
        ),
        notes=(*await _balance_notes(visit, found, values.credits), *await _room_notes(visit)),
    )


async def _give(visit: Visit, values: Grant, reason: str) -> Outcome:
    found = await fetch_organization(visit.connection, values.organization)
    await operating.give(
        visit.connection,
        visit.actor,
        found,
        amount_micro=values.credits,
        kind=EntryType(values.kind),
        expires_at=values.expires_at,
        said=values.said,
        reason=reason,
        most=_most(visit),
    )
    return Outcome(f"{found.name} has {credits_(values.credits)} credits more.", to_organization(found))


async def _preview_correcting(visit: Visit, values: Adjustment) -> Preview:
    found = await fetch_organization(visit.connection, values.organization)
    await require_room(visit.connection, visit.actor, values.credits, _most(visit))
    if values.credits > 0:
        sentence = f"{found.name} gets {credits_(values.credits)} credits, as a correction that never expires."
    else:
        balance = await fetch_balance(visit.connection, found.id)
        if -values.credits > balance.available_micro:
            raise NotAvailable(
                f"{credits_(-values.credits)} credits cannot be taken: {credits_(balance.available_micro)} of"
                f" {credits_(balance.balance_micro)} are available; the rest is held for requests."
            )
        sentence = f"{credits_(-values.credits)} credits are taken from {found.name}, what would be spent next first."
    return Preview(
        (sentence, f"The statement says: {values.said}"),
        notes=(
            *await _balance_notes(visit, found, values.credits),
            *await _room_notes(visit, given=values.credits > 0),
        ),
    )


async def _correct(visit: Visit, values: Adjustment, reason: str) -> Outcome:
    found = await fetch_organization(visit.connection, values.organization)
    await operating.correct(
        visit.connection,
        visit.actor,
        found,
        amount_micro=values.credits,
        said=values.said,
        reason=reason,
        most=_most(visit),
    )
    what = "more" if values.credits > 0 else "fewer"
    return Outcome(f"{found.name} has {credits_(abs(values.credits))} credits {what}.", to_organization(found))


async def _preview_giving_back(visit: Visit, values: Refund) -> Preview:
    charge = await find_charge(visit.connection, values.request_id, visit.services.logs)
    found, amount = charge.organization, credits_(charge.amount_micro)
    what = f"{charge.words} cost on {utc(charge.at)} ({charge.answered})"
    return Preview(
        (
            f"{found.name} gets the {amount} credits back that {what}.",
            f"They never expire. The statement says: {values.said}",
        ),
        ((f"Charge of the {charge.kind}", amount, "0"),),
        notes=await _balance_notes(visit, found, charge.amount_micro),
    )


async def _give_back(visit: Visit, values: Refund, reason: str) -> Outcome:
    entry = await operating.give_charge_back(
        visit.connection, visit.actor, values.request_id, visit.services.logs, said=values.said, reason=reason
    )
    found = await fetch_organization(visit.connection, entry.organization_id)
    links = (*to_organization(found), ("To what it was for", f"/find?q={entry.reference}"))
    return Outcome(f"{found.name} has {credits_(entry.amount_micro)} credits back.", links)


async def _preview_booking(visit: Visit, values: BankTransfer) -> Preview:
    found = await fetch_organization(visit.connection, values.organization)
    await operating.require_unbooked(visit.connection, values.payment)
    await require_room(visit.connection, visit.actor, values.credits, _most(visit))
    return Preview(
        (
            f"The payment of {values.paid} with the reference {values.payment.reference} is booked for {found.name}.",
            f"It buys {credits_(values.credits)} credits, which never expire.",
            "No other payment can be booked under this reference, for whomever.",
        ),
        (("Payment", "not booked", "booked"),),
        notes=(*await _balance_notes(visit, found, values.credits), *await _room_notes(visit)),
    )


async def _book(visit: Visit, values: BankTransfer, reason: str) -> Outcome:
    found = await fetch_organization(visit.connection, values.organization)
    payment, most = values.payment, _most(visit)
    await operating.book_payment(visit.connection, visit.actor, found, payment, reason=reason, most=most)
    return Outcome(f"{found.name} has {credits_(values.credits)} credits for {values.paid}.", to_organization(found))


async def _balance_notes(visit: Visit, found: OrganizationRecord, more: int) -> tuple[str, ...]:
    balance = (await fetch_balance(visit.connection, found.id)).balance_micro
    moves = "It moves with the organization's requests until then."
    note = f"Balance now {credits_(balance)} credits, then {credits_(balance + more)}. {moves}"
    if not await operating.belongs(visit.connection, visit.actor, found.id):
        return (note,)
    return (note, f"You belong to {found.name} yourself: the audit will say so.")


def _most(visit: Visit) -> int:
    return visit.settings.admin.given_credits_per_day


async def _room_notes(visit: Visit, *, given: bool = True) -> tuple[str, ...]:
    most = _most(visit)
    if not most or not given:
        return ()
    lately = await given_lately(visit.connection, visit.actor)
    return (f"You have given {credits_(lately)} of at most {most} credits in the last 24 hours.",)


_CREDITS = Field("credits", "Credits", hint="With a point: 12.5", maxlength=20)

ACTIONS = (
    Action(
        slug="grant-credits",
        title="Grant credits",
        group="Credits",
        right=Right.MONEY,
        summary="An organization gets credits, for good or until a moment.",
        model=Grant,
        fields=(
            ORGANIZATION,
            _CREDITS,
            Field("kind", "Kind", "choice", options=(("bonus", "Bonus: given"), ("purchase", "Purchase: paid for"))),
            Field("expires_at", "Expires", "moment", required=False, hint="In UTC. Empty: never."),
            SAID,
        ),
        preview=_preview_giving,
        carry_out=_give,
        button="Grant",
    ),
    Action(
        slug="adjust-credits",
        title="Adjust credits",
        group="Credits",
        right=Right.MONEY,
        summary="A balance is corrected, up or down.",
        model=Adjustment,
        fields=(ORGANIZATION, Field("credits", "Credits", hint="-5 takes 5 away.", maxlength=20), SAID),
        preview=_preview_correcting,
        carry_out=_correct,
        button="Adjust",
    ),
    Action(
        slug="refund-request",
        title="Give a request's charge back",
        group="Credits",
        right=Right.MONEY,
        summary="What one request or asynchronous job cost comes back, once.",
        model=Refund,
        fields=(
            Field(
                "request_id",
                "Request id",
                maxlength=36,
                hint="From the log, X-Request-Id of the answer, or a job's id.",
            ),
            SAID,
        ),
        preview=_preview_giving_back,
        carry_out=_give_back,
        button="Give back",
    ),
    Action(
        slug="book-payment",
        title="Approve a bank transfer",
        group="Credits",
        right=Right.MONEY,
        summary="Money that came in by itself buys credits; each payment once.",
        model=BankTransfer,
        fields=(
            ORGANIZATION,
            _CREDITS,
            Field("paid", "Money received", hint="Sum and currency: 49.00 EUR", maxlength=20),
            Field("reference", "Payment's reference", hint="From the bank's statement.", maxlength=120),
        ),
        preview=_preview_booking,
        carry_out=_book,
        button="Approve",
    ),
)
