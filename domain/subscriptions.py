"""Subscriptions: which plan applies to an organization. At most one is live; the database sees to it.

What a subscription may become is in `lifecycle`; trials are in `trials`, what time brings in `renewals`.
"""

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any
from uuid import UUID, uuid4

from domain import lifecycle
from domain.billing_periods import months_after
from domain.faults import Conflict, NotFound
from domain.lifecycle import Subscription
from domain.open_organizations import held_state
from domain.subscription_rows import Move, as_settled, insert, transition


@dataclass(frozen=True, slots=True)
class PlanRow:
    """What choosing a plan needs of it. `trial_days` 0 and no `trial_calls`: it is sold without a trial."""

    id: UUID
    slug: str
    active: bool
    rank: int
    price_cents: int
    trial_days: int
    trial_calls: int | None


async def plan_for_sale(connection: Any, slug: str) -> PlanRow:
    """A plan that takes subscriptions. Raises NotFound, Conflict."""
    row = await connection.fetchrow(
        "select id, slug, active, sort_order as rank, price_cents, trial_days, trial_calls from plan where slug = $1",
        slug,
    )
    if row is None:
        raise NotFound(f"There is no plan {slug}.")
    if not row["active"]:
        raise Conflict(f"The plan {slug} takes no new subscriptions.")
    return PlanRow(**dict(row))


async def subscribe(connection: Any, organization_id: UUID, plan_slug: str, *, now: datetime | None = None) -> UUID:
    """Begin an active subscription of one month; its id.

    Raises NotFound, also for an organization that is closed, Conflict (inactive plan, one is live).
    """
    plan = await plan_for_sale(connection, plan_slug)
    begin = (now or await connection.fetchval("select now()")).astimezone(UTC)
    made = Subscription(uuid4(), organization_id, plan.id, "active", begin, begin, months_after(begin, 1))
    async with connection.transaction():
        await held_state(connection, organization_id)
        if not await insert(connection, made):
            # One that is over by time alone stands in nobody's way.
            held = await transition(connection, organization_id, as_settled, now=now)
            if held.live or not await insert(connection, made):
                raise Conflict("The organization has a live subscription: change its plan.")
    return made.id


async def change_plan(
    connection: Any, organization_id: UUID, plan_slug: str, *, at: str = "once", now: datetime | None = None
) -> UUID:
    """Put the live subscription on another plan; its id. Raises NotFound, Conflict.

    `at`: `once`; `period-end`; or `rank`, by which a higher plan holds at once and a lower one from the period's end.
    """
    plan = await plan_for_sale(connection, plan_slug)
    if at == "rank":
        held = await connection.fetchval(
            "select p.sort_order from subscription s join plan p on p.id = s.plan_id"
            " where s.organization_id = $1 and s.state in ('trialing', 'active', 'past_due')",
            organization_id,
        )
        at = "period-end" if held is not None and plan.rank < held else "once"

    def move(subscription: Subscription, _: lifecycle.Terms, moment: datetime) -> Subscription:
        if at == "period-end":
            return lifecycle.changed_at_period_end(subscription, plan.id)
        return lifecycle.changed_at_once(subscription, plan.id, moment)

    return (await _moved(connection, organization_id, move, now)).id


async def cancel(
    connection: Any, organization_id: UUID, *, at_once: bool = False, now: datetime | None = None
) -> Subscription:
    """End the subscription with the period that is paid, or at once; again is no change. Raises Conflict."""

    def move(subscription: Subscription, _: lifecycle.Terms, moment: datetime) -> Subscription:
        if at_once:
            return lifecycle.cancelled_now(subscription, moment)
        return lifecycle.cancelled_at_period_end(subscription, moment)

    return await _moved(connection, organization_id, move, now)


async def reactivate(connection: Any, organization_id: UUID, *, now: datetime | None = None) -> Subscription:
    """Take a cancellation back, or note that an unpaid period is paid; of what has ended, begin the same plan anew.

    Raises NotFound, also for an organization that is closed, Conflict (the plan takes nobody).
    """

    def move(subscription: Subscription, _: lifecycle.Terms, moment: datetime) -> Subscription:
        return lifecycle.reactivated(subscription, moment) if subscription.live else subscription

    async with connection.transaction():
        await held_state(connection, organization_id)
        subscription = await _moved(connection, organization_id, move, now)
        if subscription.live:
            return subscription
        slug = await connection.fetchval("select slug from plan where id = $1", subscription.plan_id)
        await subscribe(connection, organization_id, slug, now=now)
        return await _moved(connection, organization_id, as_settled, now)


async def mark_unpaid(connection: Any, organization_id: UUID, *, now: datetime | None = None) -> Subscription:
    """The period is not paid: the plan applies for its days of grace; again is no change. Raises NotFound, Conflict."""
    return await _moved(connection, organization_id, lifecycle.unpaid, now)


async def _moved(connection: Any, organization_id: UUID, move: Move, now: datetime | None) -> Subscription:
    try:
        return await transition(connection, organization_id, move, now=now)
    except NotFound:
        raise Conflict("The organization has no live subscription.") from None
