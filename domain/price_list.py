"""What anybody may know of the prices: the public plans in words, and side by side."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from domain.credit_amounts import MICRO
from domain.limit_texts import PERIODS, LimitSpec
from domain.limit_words import counted_words, sharing_words
from domain.plans import PlanRecord, list_plans
from domain.service_catalog import CatalogOperation, CatalogService
from domain.trials import DEFAULT_DAYS

MOST_OPERATIONS = 40
NONE = "\u2013"
_SYMBOLS = {"USD": "$", "EUR": "\u20ac", "GBP": "\u00a3"}


@dataclass(frozen=True, slots=True)
class PlanPrice:
    """One plan for the price list: `price` of a month as text, `lines` what it allows, `trial` in words or empty."""

    slug: str
    name: str
    description: str
    price: str
    free: bool
    lines: tuple[str, ...]
    trial: str


@dataclass(frozen=True, slots=True)
class PriceRow:
    """One line of the comparison, with a cell for each plan."""

    label: str
    note: str
    cells: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class PriceList:
    """Plans from the lowest to the highest; `limits` and `operations` compare them. `left_out`: operations not shown."""

    plans: tuple[PlanPrice, ...]
    limits: tuple[PriceRow, ...]
    operations: tuple[PriceRow, ...]
    left_out: int


async def read_price_list(connection: Any, services: Sequence[CatalogService] = ()) -> PriceList:
    """The public plans that can be taken; `services` as for nobody in particular, for the prices of operations."""
    plans = [plan for plan in await list_plans(connection) if plan.public and plan.active]
    operations = [(service, operation) for service in services for operation in service.operations]
    if not any(_price(plan, service, operation) for plan in plans for service, operation in operations):
        operations = []
    return PriceList(
        plans=tuple(_plan(plan) for plan in plans),
        limits=(*_limit_rows(plans), *_policy_rows(plans)),
        operations=tuple(
            PriceRow(
                f"{service.name}: {operation.name}",
                _note(service, operation),
                tuple(_operation_cell(plan, service, operation) for plan in plans),
            )
            for service, operation in operations[:MOST_OPERATIONS]
        ),
        left_out=max(0, len(operations) - MOST_OPERATIONS),
    )


def month_price(cents: int, currency: str) -> str:
    """A price in hundredths as people write it: 4900 of USD is $49, 4950 of CHF is 49.50 CHF."""
    amount = f"{cents // 100:,}" + (f".{cents % 100:02d}" if cents % 100 else "")
    symbol = _SYMBOLS.get(currency)
    return f"{symbol}{amount}" if symbol else f"{amount} {currency}"


def limit_words(limit: LimitSpec) -> str:
    """A limit as a sentence's part: `1,000 requests an hour for each key`."""
    label, note = _label(limit)
    if limit.amount == 1:
        label = label.replace("Requests", "Request").replace("units", "unit")
    return f"{limit.amount:,} {label[0].lower()}{label[1:]}{f' {note}' if note else ''}"


def _plan(plan: PlanRecord) -> PlanPrice:
    lines = [limit_words(limit) for limit in plan.limits if not limit.shadow]
    if any(limit.unit == "quota" for limit in plan.limits) and plan.overage == "credits":
        lines.append("credits beyond the quotas")
    return PlanPrice(
        slug=plan.slug,
        name=plan.name,
        description=plan.description,
        price="Free" if not plan.price_cents else month_price(plan.price_cents, plan.currency),
        free=not plan.price_cents,
        lines=tuple(lines) or ("no limits",),
        trial=_trial(plan),
    )


def _trial(plan: PlanRecord) -> str:
    days = plan.trial_days or (DEFAULT_DAYS if plan.trial_calls else 0)
    if not days:
        return ""
    calls = f", up to {plan.trial_calls:,} requests" if plan.trial_calls else ""
    return f"{_days(days)} free trial{calls}"


def _note(service: CatalogService, operation: CatalogOperation) -> str:
    """How it is asked for."""
    later = ", asynchronous" if operation.asynchronous else ""
    return f"{operation.method} {service.route_prefix}{operation.path_pattern}{later}"


def _days(count: int) -> str:
    return "1 day" if count == 1 else f"{count} days"


def _label(limit: LimitSpec) -> tuple[str, str]:
    """What it counts, without the number, and what narrows it."""
    notes = [words] if (words := sharing_words(limit)) else []
    if limit.service:
        notes.append(f"on {limit.service}{f': {limit.operation}' if limit.operation else ''}")
    return counted_words(limit).capitalize(), " ".join(notes)


def _limit_rows(plans: Sequence[PlanRecord]) -> list[PriceRow]:
    enforced = [{_label(limit): limit for limit in plan.limits if not limit.shadow} for plan in plans]
    counted = {label: limit for held in enforced for label, limit in held.items()}
    order = sorted(
        counted,
        key=lambda label: (counted[label].unit == "quota", bool(label[1]), PERIODS.index(counted[label].period)),
    )
    return [
        PriceRow(*label, tuple(f"{held[label].amount:,}" if label in held else NONE for held in enforced))
        for label in order
    ]


def _policy_rows(plans: Sequence[PlanRecord]) -> list[PriceRow]:
    rows = []
    if any(limit.unit == "quota" for plan in plans for limit in plan.limits):
        words = {"block": "refused", "credits": "paid with credits"}
        rows.append(PriceRow("Beyond the quotas", "", tuple(words[plan.overage] for plan in plans)))
    if any(_trial(plan) for plan in plans):
        rows.append(PriceRow("Trial", "", tuple(_trial(plan).replace(" free trial", "") or NONE for plan in plans)))
    if any(plan.price_cents and plan.grace_days for plan in plans):
        cells = tuple(_days(plan.grace_days) if plan.price_cents and plan.grace_days else NONE for plan in plans)
        rows.append(PriceRow("Goes on when unpaid", "", cells))
    return rows


def _price(plan: PlanRecord, service: CatalogService, operation: CatalogOperation) -> int:
    for own in plan.prices:
        if (own.service, own.method, own.path_pattern) == (service.slug, operation.method, operation.path_pattern):
            return operation.price_micro if own.price_micro is None else own.price_micro
    return operation.price_micro


def _operation_cell(plan: PlanRecord, service: CatalogService, operation: CatalogOperation) -> str:
    if operation.minimum_rank is not None and plan.sort_order < operation.minimum_rank:
        return "not included"
    micro = _price(plan, service, operation)
    if not micro:
        return "free"
    text = f"{micro // MICRO:,}.{micro % MICRO:06d}".rstrip("0").rstrip(".")
    return f"up to {text}" if operation.cost_formula else text
