"""The plans that an organization can go to, and what each would change."""

from dataclasses import dataclass
from typing import Any

from domain.access import Access, Permission
from domain.limit_texts import LimitSpec
from domain.plans import PlanRecord, list_plans
from domain.subscription_reading import SubscriptionRecord
from domain.trials import DEFAULT_DAYS

LIVE = frozenset({"trialing", "active", "past_due"})


@dataclass(frozen=True, slots=True)
class LimitChange:
    """One limit of a plan beside the present one. `change` is same, up, down, new or gone; `before` is None for a new one."""

    limit: LimitSpec
    before: int | None
    change: str


@dataclass(frozen=True, slots=True)
class PlanOffer:
    """One plan. `how` is current, pending (it comes next), now, period-end, or ask: it has a price and nobody can pay yet.

    `trial_days` is 0 where no trial can be begun by this organization.
    """

    plan: PlanRecord
    how: str
    trial_days: int
    changes: tuple[LimitChange, ...]


async def public_plans(connection: Any) -> list[PlanRecord]:
    """Plans that are shown to everybody and take subscriptions, lowest first."""
    return [plan for plan in await list_plans(connection) if plan.public and plan.active]


async def list_offers(
    connection: Any, access: Access, record: SubscriptionRecord | None, *, free: bool
) -> list[PlanOffer]:
    """Public plans as this organization can have them. `free`: its present terms cost nothing."""
    access.require(Permission.BILLING_VIEW)
    plans = {plan.slug: plan for plan in await list_plans(connection)}
    live = record is not None and record.state in LIVE
    present = plans.get(record.plan) if record is not None and live else None
    claimed = await connection.fetchval(
        "select true from trial_claim where organization_id = $1", access.organization_id
    )
    may_try = not claimed and (not live or (record is not None and record.state == "active" and free))
    return [
        PlanOffer(
            plan,
            _how(plan, present, record if live else None),
            _trial_days(plan) if may_try and plan is not present else 0,
            limit_changes(present.limits if present else (), plan.limits),
        )
        for plan in plans.values()
        if plan.public and plan.active
    ]


def limit_changes(before: tuple[LimitSpec, ...], after: tuple[LimitSpec, ...]) -> tuple[LimitChange, ...]:
    """What becomes of each limit, found by what it counts; those that go come last."""
    held = {_counted(limit): limit for limit in before}
    changes = []
    for limit in after:
        old = held.pop(_counted(limit), None)
        changes.append(LimitChange(limit, old.amount if old else None, _word(old, limit)))
    return (*changes, *(LimitChange(limit, limit.amount, "gone") for limit in held.values()))


def _word(old: LimitSpec | None, new: LimitSpec) -> str:
    if old is None:
        return "new"
    if old.amount == new.amount:
        return "same"
    return "up" if new.amount > old.amount else "down"


def _counted(limit: LimitSpec) -> tuple[object, ...]:
    return limit.period, limit.scope, limit.unit, limit.service, limit.operation, limit.shadow


def _how(plan: PlanRecord, present: PlanRecord | None, record: SubscriptionRecord | None) -> str:
    if present is not None and plan.slug == present.slug:
        return "current"
    if record is not None and plan.slug == record.next_plan:
        return "pending"
    if plan.price_cents > 0:
        return "ask"
    return "period-end" if present is not None and plan.sort_order < present.sort_order else "now"


def _trial_days(plan: PlanRecord) -> int:
    return plan.trial_days or (DEFAULT_DAYS if plan.trial_calls else 0)
