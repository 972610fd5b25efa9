"""What a request takes of which windows: one of each limit in requests, units of quotas, micro-credits of spend caps."""

from functools import lru_cache
from typing import NamedTuple
from uuid import UUID

from domain.prices import price_micro, quota_cost
from domain.snapshots import KeySnapshot, LimitSnapshot, OperationSnapshot, PlanSnapshot

REQUESTS, QUOTA, CREDITS = "requests", "quota", "credits"
"""Units of limits. Those in credits are spend caps."""


class Cost(NamedTuple):
    """`units` of every quota, `micro`-credits of every spend cap; 0 takes nothing."""

    units: int = 1
    micro: int = 0


ONE = Cost()
NOTHING = Cost(0, 0)


def costs_of(key: KeySnapshot, plan: PlanSnapshot, operation: OperationSnapshot | None) -> tuple[Cost, Cost | None]:
    """What a request takes; and what instead, if only quotas refuse it and the plan lets it go on with credits.

    Who pays with credits has no quotas. What has no price can't be paid for with credits: beyond the quotas it is refused.
    """
    price = price_micro(plan, operation)
    if key.billing_mode != QUOTA:
        return Cost(0, price), None
    units = quota_cost(plan, operation)
    return Cost(units, 0), Cost(0, price) if plan.overage == CREDITS and price else None


def weight_of(limit: LimitSnapshot, cost: Cost) -> int:
    """Permits of a limit that a request takes."""
    if limit.unit == REQUESTS:
        return 1
    return cost.units if limit.unit == QUOTA else cost.micro


def weighed(key: KeySnapshot, plan: PlanSnapshot) -> bool:
    """Whether some limit counts something else than requests of this key."""
    return bool(key.spend_caps) or (key.billing_mode == QUOTA and any(li.unit == QUOTA for li in plan.limits))


def applying(key: KeySnapshot, plan: PlanSnapshot) -> tuple[LimitSnapshot, ...]:
    """Every limit that may refuse a request of this key: the plan's, without quotas for who has none; its spend caps."""
    return _chosen(plan.id, plan.limits, key.spend_caps, None, quotas=key.billing_mode == QUOTA)


def counting(
    key: KeySnapshot, plan: PlanSnapshot, service_id: UUID | None, operation_id: UUID | None, cost: Cost
) -> tuple[LimitSnapshot, ...]:
    """Those that count a request to this operation. One tuple for all keys that have the same."""
    caps = key.spend_caps if cost.micro else ()
    return _chosen(plan.id, plan.limits, caps, (service_id, operation_id), quotas=key.billing_mode == QUOTA)


@lru_cache(maxsize=4_096)
def _chosen(
    plan_id: UUID,  # noqa: ARG001  tells plans without limits apart: who renders limits keeps what it made for a tuple
    limits: tuple[LimitSnapshot, ...],
    caps: tuple[LimitSnapshot, ...],
    called: tuple[UUID | None, UUID | None] | None,
    *,
    quotas: bool,
) -> tuple[LimitSnapshot, ...]:
    chosen = tuple(
        limit
        for limit in limits
        if (quotas or limit.unit != QUOTA)
        and (called is None or (limit.service_id in {None, called[0]} and limit.operation_id in {None, called[1]}))
    )
    if not caps and len(chosen) == len(limits):
        return limits
    return (*chosen, *caps)
