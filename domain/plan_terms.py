"""What is sold with a plan, as one value, and as the JSON of `plan_version.terms`.

Limits keep their ids, by which what they have counted is found. Prices are those of every operation at that moment, so
that another price of an operation changes nothing that was sold; one that is declared later costs what it says itself.
"""

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from typing import Any
from uuid import UUID

from domain.snapshots import LimitSnapshot, PlanSnapshot


@dataclass(frozen=True, slots=True)
class PlanTerms:
    """`prices` in micro-credits and `quota_costs` in units, by operation; `price_cents` a month; `overage` block or credits."""

    limits: tuple[LimitSnapshot, ...]
    overage: str
    prices: Mapping[UUID, int]
    quota_costs: Mapping[UUID, int]
    price_cents: int
    currency: str
    trial_days: int
    trial_calls: int | None
    grace_days: int


def terms_to_json(terms: PlanTerms) -> str:
    """The same terms give the same text."""
    values = {field.name: getattr(terms, field.name) for field in fields(terms)}
    values["limits"] = [asdict(limit) for limit in terms.limits]
    for name in ("prices", "quota_costs"):
        values[name] = {str(operation_id): amount for operation_id, amount in values[name].items()}
    return json.dumps(values, default=str, sort_keys=True)


def terms_from_json(text: str) -> PlanTerms:
    """The terms of a version. Raises ValueError, KeyError or TypeError for what is none."""
    values: dict[str, Any] = json.loads(text)
    for name in ("prices", "quota_costs"):
        values[name] = {UUID(operation_id): amount for operation_id, amount in values[name].items()}
    values["limits"] = tuple(_limit(limit) for limit in values["limits"])
    return PlanTerms(**{field.name: values[field.name] for field in fields(PlanTerms)})


def snapshot_of(plan_id: UUID, slug: str, name: str, rank: int, terms: PlanTerms) -> PlanSnapshot:
    """The plan under these terms, as the data plane has it."""
    return PlanSnapshot(
        plan_id, slug, name, rank, terms.limits, terms.overage, terms.prices, terms.quota_costs, terms.trial_calls
    )


def _limit(values: dict[str, Any]) -> LimitSnapshot:
    ids = {name: None if values[name] is None else UUID(values[name]) for name in ("id", "service_id", "operation_id")}
    return LimitSnapshot(**{**values, **ids})
