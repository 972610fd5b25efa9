"""Subscriptions: which plan applies to an organization. At most one is live; the database sees to it."""

from typing import Any
from uuid import UUID

from domain.faults import Conflict, Fault, NotFound

LIVE = "('trialing', 'active', 'past_due')"


async def subscribe(connection: Any, organization_id: UUID, plan_slug: str) -> UUID:
    """Begin an active subscription of one month; its id. Raises NotFound, Conflict (inactive plan, one is live)."""
    subscription_id: UUID | None = await connection.fetchval(
        "insert into subscription (organization_id, plan_id, period_start, period_end)"
        " select $1, id, now(), now() + interval '1 month' from plan where slug = $2 and active"
        f" on conflict (organization_id) where state in {LIVE} do nothing returning id",
        organization_id,
        plan_slug,
    )
    if subscription_id is None:
        raise await _why_not(connection, plan_slug, "The organization has a live subscription: change its plan.")
    return subscription_id


async def change_plan(connection: Any, organization_id: UUID, plan_slug: str) -> UUID:
    """Put the live subscription on another plan at once; its id. Raises NotFound, Conflict."""
    subscription_id: UUID | None = await connection.fetchval(
        "update subscription s set plan_id = p.id from plan p where p.slug = $2 and p.active"
        f" and s.organization_id = $1 and s.state in {LIVE} returning s.id",
        organization_id,
        plan_slug,
    )
    if subscription_id is None:
        raise await _why_not(connection, plan_slug, "The organization has no live subscription.")
    return subscription_id


async def _why_not(connection: Any, plan_slug: str, otherwise: str) -> Fault:
    active = await connection.fetchval("select active from plan where slug = $1", plan_slug)
    if active is None:
        return NotFound(f"There is no plan {plan_slug}.")
    if not active:
        return Conflict(f"The plan {plan_slug} takes no new subscriptions.")
    return Conflict(otherwise)
