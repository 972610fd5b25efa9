"""Subscriptions as people look at them: with plan slugs, and with what they entitle to at this moment."""

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

from domain.entitlements import Entitlements, entitlements
from domain.faults import NotFound
from domain.lifecycle import LIVE
from domain.plan_versions import terms_of
from domain.snapshots import LimitOverride
from domain.subscription_rows import fetch_subscription

_SELECT = """
    select s.id, o.slug as organization, p.slug as plan, s.state, s.started_at, s.period_start, s.period_end,
           s.trial_ends_at, s.cancel_at, n.slug as next_plan, s.grace_until, s.ended_at, v.number as plan_version
    from subscription s join organization o on o.id = s.organization_id join plan p on p.id = s.plan_id
    left join plan n on n.id = s.next_plan_id left join plan_version v on v.id = s.plan_version_id
"""


@dataclass(frozen=True, slots=True)
class SubscriptionRecord:
    """One row; `plan_version` is the number of the terms of this period, None where they are the plan's own."""

    id: UUID
    organization: str
    plan: str
    state: str
    started_at: datetime
    period_start: datetime
    period_end: datetime
    trial_ends_at: datetime | None
    cancel_at: datetime | None
    next_plan: str | None
    grace_until: datetime | None
    ended_at: datetime | None
    plan_version: int | None


async def list_subscriptions(
    connection: Any, *, plan_slug: str | None = None, ended: bool = False, most: int = 1_000
) -> list[SubscriptionRecord]:
    """The first `most` live ones (`ended`: those that have ended too) by organization, of one plan or of all."""
    rows = await connection.fetch(
        f"{_SELECT} where ($1::text is null or p.slug = $1) and ($2 or s.state in {LIVE})"
        " order by o.slug, s.started_at limit $3",
        plan_slug,
        ended,
        most,
    )
    return [SubscriptionRecord(**dict(row)) for row in rows]


async def fetch_record(connection: Any, organization_id: UUID) -> SubscriptionRecord:
    """The organization's live subscription, or else the one that ended last. Raises NotFound."""
    subscription = await fetch_subscription(connection, organization_id)
    if subscription is None:
        raise NotFound("The organization has no subscription.")
    return SubscriptionRecord(**dict(await connection.fetchrow(f"{_SELECT} where s.id = $1", subscription.id)))


async def fetch_entitlements(
    connection: Any, organization_id: UUID, *, now: datetime | None = None
) -> Entitlements | None:
    """What the organization is entitled to at `now`; None if it never had a subscription."""
    subscription = await fetch_subscription(connection, organization_id)
    if subscription is None:
        return None
    mode = await connection.fetchval("select billing_mode from organization where id = $1", organization_id)
    rows = await connection.fetch(
        "select limit_name, amount, shadow, until from limit_override where organization_id = $1", organization_id
    )
    overrides = [
        LimitOverride(name, amount, shadow, None if until is None else until.timestamp())
        for name, amount, shadow, until in rows
    ]
    terms = await terms_of(connection, subscription.plan_id, subscription.plan_version_id)
    return entitlements(terms, overrides, subscription, now or datetime.now(UTC), mode)
