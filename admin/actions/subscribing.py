"""Actions on subscriptions: another plan, more time, an end, a resumption."""

from typing import Annotated, Literal

from pydantic import Field as Constraint

from admin.actions.action import Action, Field, Outcome, Preview, Values
from admin.actions.founding import plan_options
from admin.actions.kinds import Days
from admin.actions.organization_field import ORGANIZATION, Slug
from admin.actions.subscription_changes import changes_between
from admin.actions.wording import counted, to_organization, utc
from admin.web.visit import Visit
from domain.faults import Conflict
from domain.operating import subscriptions
from domain.operating.subscriptions import Wish
from domain.operators import Right
from domain.organizations import OrganizationRecord, fetch_organization
from domain.subscription_rows import as_settled, fetch_subscription, foresee
from domain.subscriptions import PlanRow, plan_for_sale


class Chosen(Values):
    """The organization."""

    organization: Slug


class PlanChange(Chosen):
    """Which plan, from when on."""

    plan: Annotated[str, Constraint(min_length=1, max_length=63)]
    begins: Literal["now", "period-end"] = "now"


class Extension(Chosen):
    """How much longer."""

    days: Days


class End(Chosen):
    """When it ends."""

    ends: Literal["now", "period-end"] = "period-end"


async def _preview_changing(visit: Visit, values: PlanChange) -> Preview:
    found = await fetch_organization(visit.connection, values.organization)
    plan = await plan_for_sale(visit.connection, values.plan)
    if not await _lives(visit, found):
        await _require_paid(visit, found, plan)
        return Preview(
            (f"{found.name} has no subscription that lives. A new one begins on {plan.slug}, for a month at first.",),
            (("Plan", "none", plan.slug), ("Period ends", "\u2013", "a month after it is done")),
            ("Nothing is charged for it: payments are taken elsewhere.",),
        )
    wish = subscriptions.on_plan(plan.id, at_once=values.begins == "now")
    when = "at once" if values.begins == "now" else "from the end of the period (or of the trial) on"
    return await _foreseen(
        visit, found, wish, f"{found.name} is on {plan.slug} {when}; its keys within a second of that."
    )


async def _change(visit: Visit, values: PlanChange, reason: str) -> Outcome:
    found = await fetch_organization(visit.connection, values.organization)
    plan = await plan_for_sale(visit.connection, values.plan)
    if not await _lives(visit, found):
        await _require_paid(visit, found, plan)
        await subscriptions.begin(visit.connection, visit.actor, found, plan.slug, reason=reason)
    else:
        wish = subscriptions.on_plan(plan.id, at_once=values.begins == "now")
        await subscriptions.make(visit.connection, visit.actor, found, wish, reason=reason)
    then = "" if values.begins == "now" else " from its next period on"
    return Outcome(f"{found.name} is on {plan.slug}{then}.", to_organization(found))


async def _preview_extending(visit: Visit, values: Extension) -> Preview:
    found = await fetch_organization(visit.connection, values.organization)
    sentence = f"What {found.name} has now ends {counted(values.days, 'day')} later; later periods follow from there."
    return await _foreseen(visit, found, subscriptions.longer(values.days), sentence)


async def _extend(visit: Visit, values: Extension, reason: str) -> Outcome:
    found = await fetch_organization(visit.connection, values.organization)
    after = await subscriptions.make(
        visit.connection, visit.actor, found, subscriptions.longer(values.days), reason=reason
    )
    end = after.grace_until if after.state == "past_due" else after.period_end
    return Outcome(f"{found.name} goes on until {utc(end)}.", to_organization(found))


async def _preview_ending(visit: Visit, values: End) -> Preview:
    found = await fetch_organization(visit.connection, values.organization)
    wish = subscriptions.ended(at_once=values.ends == "now")
    if values.ends == "now":
        sentence = f"All requests of {found.name} are refused within a second, whatever is paid. Credits and keys stay."
    else:
        sentence = f"{found.name} keeps its plan until the period (or trial) ends; then its requests are refused."
    return await _foreseen(visit, found, wish, sentence)


async def _end(visit: Visit, values: End, reason: str) -> Outcome:
    found = await fetch_organization(visit.connection, values.organization)
    wish = subscriptions.ended(at_once=values.ends == "now")
    after = await subscriptions.make(visit.connection, visit.actor, found, wish, reason=reason)
    said = "has ended" if not after.live else f"ends on {utc(after.cancel_at)}"
    again = ("Take it back", f"/actions/resume-subscription?organization={found.slug}")
    return Outcome(f"The subscription of {found.name} {said}.", (*to_organization(found), again))


async def _resumable(visit: Visit, values: Chosen) -> OrganizationRecord:
    """The organization. To say that something is paid is for those who book money. Raises Forbidden."""
    found = await fetch_organization(visit.connection, values.organization)
    held = await fetch_subscription(visit.connection, found.id)
    if held is not None and held.state == "past_due":
        visit.operator.require(Right.MONEY)
    return found


async def _preview_resuming(visit: Visit, values: Chosen) -> Preview:
    found = await _resumable(visit, values)
    sentence = f"The subscription of {found.name} goes on; what was not paid counts as paid."
    return await _foreseen(visit, found, subscriptions.resumed(), sentence)


async def _resume(visit: Visit, values: Chosen, reason: str) -> Outcome:
    found = await _resumable(visit, values)
    await subscriptions.make(visit.connection, visit.actor, found, subscriptions.resumed(), reason=reason)
    return Outcome(f"The subscription of {found.name} goes on.", to_organization(found))


async def _require_paid(visit: Visit, found: OrganizationRecord, plan: PlanRow) -> None:
    """Who has not paid the last period gets a new one that costs only from those who book money. Raises Forbidden."""
    held = await fetch_subscription(visit.connection, found.id)
    if held is not None and held.grace_until is not None and plan.price_cents:
        visit.operator.require(Right.MONEY)


async def _lives(visit: Visit, found: OrganizationRecord) -> bool:
    if await fetch_subscription(visit.connection, found.id) is None:
        return False
    return (await foresee(visit.connection, found.id, as_settled))[0].live


async def _foreseen(visit: Visit, found: OrganizationRecord, wish: Wish, sentence: str) -> Preview:
    before, after, now = await foresee(visit.connection, found.id, wish.move)
    changes = await changes_between(visit.connection, before, after, now)
    if not changes:
        raise Conflict(f"That is how the subscription of {found.name} stands already.")
    return Preview((sentence, "Its webhooks are told: subscription.changed."), changes)


_WHEN = (("now", "At once"), ("period-end", "With the end of the period or trial"))

ACTIONS = (
    Action(
        slug="change-plan",
        title="Change the plan",
        group="Subscriptions and limits",
        right=Right.SUPPORT,
        summary="An organization goes to another plan, at once or with its next period.",
        model=PlanChange,
        fields=(
            ORGANIZATION,
            Field("plan", "Plan", "choice", options=plan_options),
            Field("begins", "When", "choice", options=_WHEN),
        ),
        preview=_preview_changing,
        carry_out=_change,
        button="Change the plan",
    ),
    Action(
        slug="extend-subscription",
        title="Extend a subscription or trial",
        group="Subscriptions and limits",
        right=Right.SUPPORT,
        summary="A trial, a paid period, or the grace of an unpaid one ends some days later.",
        model=Extension,
        fields=(ORGANIZATION, Field("days", "Days", "number", value="7")),
        preview=_preview_extending,
        carry_out=_extend,
        button="Extend",
    ),
    Action(
        slug="cancel-subscription",
        title="Cancel a subscription",
        group="Subscriptions and limits",
        right=Right.SUPPORT,
        summary="A subscription ends with what is paid, or at once.",
        model=End,
        fields=(ORGANIZATION, Field("ends", "When", "choice", value="period-end", options=_WHEN)),
        preview=_preview_ending,
        carry_out=_end,
        button="Cancel it",
        danger=True,
    ),
    Action(
        slug="resume-subscription",
        title="Resume a subscription",
        group="Subscriptions and limits",
        right=Right.SUPPORT,
        summary="A cancellation is taken back, or an unpaid period counts as paid.",
        model=Chosen,
        fields=(ORGANIZATION,),
        preview=_preview_resuming,
        carry_out=_resume,
        button="Resume",
    ),
)
