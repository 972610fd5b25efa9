"""What operators do to an organization's subscription: another plan, more time, an end, a resumption.

Each wish is a move of the lifecycle, so that it can be foreseen (`foresee`) as exactly as it is made. All of it belongs into
the caller's transaction: the change and its trace happen together or not at all.
"""

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from domain import audit, lifecycle, subscriptions
from domain.audit import Verb
from domain.faults import Conflict
from domain.lifecycle import Subscription, Terms
from domain.organizations import OrganizationRecord
from domain.subscription_rows import Move, as_settled, fetch_subscription, transition

_FACTS = ("state", "period_start", "period_end", "trial_ends_at", "grace_until", "cancel_at", "ended_at")


@dataclass(frozen=True, slots=True)
class Wish:
    """One change of a subscription: how it is made, and what the audit calls it."""

    verb: Verb
    move: Move


def on_plan(plan_id: UUID, *, at_once: bool) -> Wish:
    """Another plan, at once or from the end of the period (or of the trial) on."""

    def move(subscription: Subscription, _: Terms, now: datetime) -> Subscription:
        if at_once:
            return lifecycle.changed_at_once(subscription, plan_id, now)
        return lifecycle.changed_at_period_end(subscription, plan_id)

    return Wish(Verb.SUBSCRIPTION_CHANGE, move)


def longer(days: int) -> Wish:
    """More time: a trial, a paid period, or the grace of one that is not paid."""
    return Wish(Verb.SUBSCRIPTION_EXTEND, lambda one, terms, _: lifecycle.prolonged(one, terms, timedelta(days=days)))


def ended(*, at_once: bool) -> Wish:
    """The end, at once or with what is paid."""

    def move(subscription: Subscription, _: Terms, now: datetime) -> Subscription:
        if not subscription.live:
            raise Conflict(f"The subscription is {subscription.state} already.")
        if at_once:
            return lifecycle.cancelled_now(subscription, now)
        return lifecycle.cancelled_at_period_end(subscription, now)

    return Wish(Verb.SUBSCRIPTION_CANCEL, move)


def resumed() -> Wish:
    """A cancellation taken back, or an unpaid period noted as paid."""

    def move(subscription: Subscription, _: Terms, now: datetime) -> Subscription:
        if not subscription.live:
            raise Conflict(f"The subscription is {subscription.state}: put the organization on a plan instead.")
        return lifecycle.reactivated(subscription, now)

    return Wish(Verb.SUBSCRIPTION_RESUME, move)


async def make(
    connection: Any, actor: audit.Actor, organization: OrganizationRecord, wish: Wish, *, reason: str
) -> Subscription:
    """Make the change. Raises what the move raises; Conflict where nothing would change, or somebody else was quicker."""
    before = await transition(connection, organization.id, as_settled)
    after = await transition(connection, organization.id, wish.move)
    if after == before:
        raise Conflict("That is how the subscription stands already.")
    await _trace(connection, actor, wish.verb, organization, before, after, reason)
    return after


async def begin(
    connection: Any, actor: audit.Actor, organization: OrganizationRecord, plan_slug: str, *, reason: str
) -> Subscription:
    """A new subscription of an organization that has none that lives. Raises NotFound, Conflict."""
    before = await fetch_subscription(connection, organization.id)
    await subscriptions.subscribe(connection, organization.id, plan_slug)
    after = await fetch_subscription(connection, organization.id)
    assert after is not None  # it was just begun
    await _trace(connection, actor, Verb.SUBSCRIPTION_CHANGE, organization, before, after, reason)
    return after


async def plan_slugs(connection: Any, *found: Subscription | None) -> dict[UUID, str]:
    """The slugs of the plans that these subscriptions name, by id."""
    ids = {each for one in found if one for each in (one.plan_id, one.next_plan_id) if each}
    return dict(await connection.fetch("select id, slug from plan where id = any($1::uuid[])", list(ids)))


async def _trace(
    connection: Any,
    actor: audit.Actor,
    verb: Verb,
    organization: OrganizationRecord,
    before: Subscription | None,
    after: Subscription,
    reason: str,
) -> None:
    slugs = await plan_slugs(connection, before, after)

    def told(one: Subscription) -> dict[str, Any]:
        following = slugs[one.next_plan_id] if one.next_plan_id else None
        return {"plan": slugs[one.plan_id], "next_plan": following, **{name: getattr(one, name) for name in _FACTS}}

    await audit.record(
        connection,
        actor,
        verb,
        audit.Thing("subscription", str(after.id), slugs[after.plan_id]),
        organization_id=organization.id,
        before=told(before) if before else None,
        after=told(after),
        reason=reason,
    )
