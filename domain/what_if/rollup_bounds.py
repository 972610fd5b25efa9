"""What limits and prices would have done to what only rollups know: at the least and at the most.

A rollup tells how many, not when in its hour or day. So a limit of a longer window is known well; of a shorter one, at the
least is refused what its windows could not hold if the requests were spread evenly, at the most what one of them could
not hold if all came at once. Credits are taken to be there, and requests in progress to be at once or not at all.
"""

import math
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC
from uuid import UUID

from domain.quotas.costs import CREDITS, QUOTA, costs_of, counting, weight_of
from domain.quotas.periods import month_bounds
from domain.quotas.shapes import SHAPES, SLIDING
from domain.quotas.windows import WINDOW_SECONDS, bounds
from domain.snapshots import KeySnapshot, LimitSnapshot, OperationSnapshot, PlanSnapshot, ServiceSnapshot
from domain.what_if.history import Rolled
from domain.what_if.pricing import Offers, Price, operation_of
from domain.what_if.results import NOTHING, Range

_GRAINS = {"hour": 3_600, "day": 86_400}


@dataclass(slots=True)
class _Window:
    """What was asked in one window of a limit, or in the part of one that a rollup knows. `heaviest` weight of them."""

    limit: LimitSnapshot
    windows: int
    """So many windows of the limit lie in it, at the most."""
    asked: Range = NOTHING
    permits: Range = NOTHING
    heaviest: int = 0

    def refused(self) -> Range:
        """Requests that this limit has no room for. Who is let through takes at most `heaviest`."""
        amount, heaviest = self.limit.amount, self.heaviest
        excess = max(0, self.permits.least - amount * self.windows)
        if self.permits.most <= amount or not heaviest:
            return NOTHING
        least = 0 if self.limit.period == "concurrent" else math.ceil(excess / heaviest)
        return Range(least, max(0, self.asked.most - amount // heaviest))


@dataclass(frozen=True, slots=True)
class Estimate:
    """Of one side. `refused_by` has each limit's own, shadow limits too, by name."""

    refused: Range
    refused_by: Mapping[str, Range]
    spent: Range


def estimate(
    rows: Sequence[Rolled],
    organization: KeySnapshot,
    plan: PlanSnapshot,
    services: Mapping[UUID, ServiceSnapshot],
    offers: Offers,
) -> Estimate:
    """What these terms make of an organization's rollups."""
    windows: dict[tuple[UUID, UUID | None, int], _Window] = {}
    spent, dearest, unpaid = NOTHING, 0, False
    for row in rows:
        operation = operation_of(offers, row.operation_id)
        key = replace(organization, id=row.key_id)
        service = services.get(row.service_id)
        paid = _paid(row, key, plan, service, operation)
        price = _price(plan, service, operation)
        spent, dearest, unpaid = spent.plus(paid), max(dearest, price), unpaid or not price
        _count(row, key, plan, operation, windows)
    by_limit: defaultdict[str, Range] = defaultdict(lambda: NOTHING)
    for window in windows.values():
        by_limit[window.limit.name] = by_limit[window.limit.name].plus(window.refused())
    enforced = [_refusing(limit, plan, by_limit[limit.name], unpaid=unpaid) for limit in _limits_of(windows.values())]
    refused = _together(enforced, sum(row.requests for row in rows))
    if organization.billing_mode == QUOTA and not any(
        by_limit[limit.name].most for limit in plan.limits if limit.unit == QUOTA
    ):
        spent = NOTHING
    return Estimate(refused, dict(by_limit), Range(max(0, spent.least - refused.most * dearest), spent.most))


def _limits_of(windows: Iterable[_Window]) -> list[LimitSnapshot]:
    """Each limit once that is not in shadow."""
    return list({window.limit.id: window.limit for window in windows if not window.limit.shadow}.values())


def _refusing(limit: LimitSnapshot, plan: PlanSnapshot, lacking: Range, *, unpaid: bool) -> Range:
    """Of what a limit has no room for, what it refuses: beyond quotas one may go on with credits, but for what has no price."""
    if limit.unit == QUOTA and plan.overage == CREDITS:
        return Range(0, lacking.most if unpaid else 0)
    return lacking


def _together(each: Iterable[Range], asked: int) -> Range:
    """Of several limits: each refuses its own, and none refuses what was not asked."""
    found = list(each)
    return Range(max((one.least for one in found), default=0), min(asked, sum(one.most for one in found)))


def _price(plan: PlanSnapshot, service: ServiceSnapshot | None, operation: OperationSnapshot | None) -> int:
    return 0 if service is None else Price(service, operation, plan).cap


def _paid(
    row: Rolled,
    key: KeySnapshot,
    plan: PlanSnapshot,
    service: ServiceSnapshot | None,
    operation: OperationSnapshot | None,
) -> Range:
    """What the good answers cost; at the most, also those that were refused in fact."""
    if service is None:
        return NOTHING
    price = Price(service, operation, plan)
    by_quota = key.billing_mode == QUOTA
    if not price.cap or (by_quota and plan.overage == "block"):
        return NOTHING
    answered = row.good if service.charge_on == "success" else row.requests - row.refused
    least = price.cap * answered if price.fixed else min(row.cost_micro, price.cap * answered)
    return Range(0 if by_quota else least, least + price.cap * row.refused)


def _count(
    row: Rolled,
    key: KeySnapshot,
    plan: PlanSnapshot,
    operation: OperationSnapshot | None,
    windows: dict[tuple[UUID, UUID | None, int], _Window],
) -> None:
    cost, _ = costs_of(key, plan, operation)
    for limit in counting(key, plan, row.service_id, row.operation_id, cost):
        weight = weight_of(limit, cost)
        if not weight:
            continue
        begun, number = _window_of(limit, row, key.month_anchor)
        owner = limit.id, row.key_id if limit.scope == "key" else None, begun
        window = windows.get(owner)
        if window is None:
            window = windows[owner] = _Window(limit, number)
        known = Range(row.requests - row.refused, row.requests)
        window.asked = window.asked.plus(known)
        window.permits = window.permits.plus(Range(known.least * weight, known.most * weight))
        window.heaviest = max(window.heaviest, weight)


def _window_of(limit: LimitSnapshot, row: Rolled, anchor: float | None) -> tuple[int, int]:
    """Where the window begins that the rollup is counted in, and how many windows of the limit that may be."""
    at, grain = int(row.bucket.astimezone(UTC).timestamp()), _GRAINS[row.grain]
    if limit.period == "month":
        return month_bounds(anchor, at)[1], 1
    if WINDOW_SECONDS[limit.period] >= grain and limit.period != "concurrent":
        return bounds(limit.period, at)[0], 1
    number = grain // WINDOW_SECONDS[limit.period]
    # A window that slides lies across the edges of the rollup too.
    return at, number + (SHAPES[limit.period].kind == SLIDING)
