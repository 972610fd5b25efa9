"""Plans and their limits."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from domain.faults import Conflict, InvalidValue, NotFound
from domain.limit_texts import LARGEST_AMOUNT, LimitSpec, check_names
from domain.names import valid_name, valid_slug
from domain.plan_limits import limits_of, replace_limits
from domain.plan_prices import PlanPriceRecord, PriceSpec, prices_of, set_prices
from domain.plan_versions import edit_plans

COLUMNS = (
    "p.id, p.slug, p.name, p.description, p.active, p.public, p.price_cents, p.currency::text as currency,"
    " p.sort_order, p.overage, p.trial_days, p.trial_calls, p.grace_days, p.log_days, p.created_at"
)
LONGEST_DAYS = 365
LONGEST_TRIAL_OF_CALLS = 28
"""Days: calls of a trial are counted by its months."""
HIGHEST_RANK = 1_000_000
MOST_LOG_DAYS = 3_650
_BOUNDS = {
    "price_cents": (0, 10**12), "sort_order": (0, HIGHEST_RANK), "trial_days": (0, LONGEST_DAYS),
    "trial_calls": (1, LARGEST_AMOUNT), "grace_days": (0, LONGEST_DAYS), "log_days": (1, MOST_LOG_DAYS),
}  # fmt: skip
CHANGEABLE = {*_BOUNDS, "name", "description", "active", "public", "overage"}
_NAMED = {
    "price_cents": "The price in hundredths", "sort_order": "The rank", "trial_days": "The trial's number of days",
    "trial_calls": "The trial's number of calls", "grace_days": "The number of days of grace",
    "log_days": "The number of days of logs",
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class PlanRecord:
    """One plan; `price_cents` a month, in hundredths of `currency`; limits by period, shortest first.

    `overage` is block or credits; `trial_days` 0 and no `trial_calls`: it is sold without a trial.
    `log_days` None: request logs are kept as long as everybody's.
    """

    id: UUID
    slug: str
    name: str
    description: str
    active: bool
    public: bool
    price_cents: int
    currency: str
    sort_order: int
    overage: str
    trial_days: int
    trial_calls: int | None
    grace_days: int
    log_days: int | None
    created_at: datetime
    limits: tuple[LimitSpec, ...]
    prices: tuple[PlanPriceRecord, ...]


async def create(
    connection: Any,
    *,
    slug: str,
    limits: list[LimitSpec],
    name: str | None = None,
    description: str = "",
    public: bool = True,
    price_cents: int = 0,
    currency: str = "USD",
    sort_order: int = 0,
    overage: str = "block",
    trial_days: int = 0,
    trial_calls: int | None = None,
    grace_days: int = 3,
    log_days: int | None = None,
    prices: Sequence[PriceSpec] = (),
) -> PlanRecord:
    """A new plan with its limits and prices, in one transaction; without a name, the slug serves.

    Raises Conflict, InvalidValue; NotFound for a service or operation that a limit or a price names.
    """
    values = {
        "slug": valid_slug(slug), "name": valid_name(name or slug), "description": description, "public": public,
        "price_cents": price_cents, "currency": currency, "sort_order": sort_order, "overage": overage,
        "trial_days": trial_days, "trial_calls": trial_calls, "grace_days": grace_days,
        "log_days": log_days,
    }  # fmt: skip
    check_terms(values)
    check_names(limits)
    async with connection.transaction():
        plan_id = await connection.fetchval(
            f"insert into plan ({', '.join(values)}) values ({', '.join(f'${n}' for n in range(1, len(values) + 1))})"
            " on conflict on constraint uq_plan_slug do nothing returning id",
            *values.values(),
        )
        if plan_id is None:
            raise Conflict(f"There is already a plan {slug}.")
        await replace_limits(connection, plan_id, limits)
        await set_prices(connection, plan_id, prices)
        return await fetch_plan(connection, slug)


async def fetch_plan(connection: Any, slug: str) -> PlanRecord:
    """One plan by its slug. Raises NotFound."""
    row = await connection.fetchrow(f"select {COLUMNS} from plan p where p.slug = $1", slug)
    if row is None:
        raise NotFound(f"There is no plan {slug}.")
    return (await _records(connection, [row]))[0]


async def list_plans(connection: Any) -> list[PlanRecord]:
    """Every plan, lowest first."""
    rows = await connection.fetch(f"select {COLUMNS} from plan p order by p.sort_order, p.slug")
    return await _records(connection, rows)


async def change(
    connection: Any,
    slug: str,
    *,
    limits: list[LimitSpec] | None = None,
    prices: Sequence[PriceSpec] = (),
    at_once: bool = False,
    no_trial_calls: bool = False,
    no_log_days: bool = False,
    **values: Any,
) -> PlanRecord:
    """Change what is given: columns of CHANGEABLE by name, and `prices`; `limits` replaces all of them.

    Who has subscribed keeps what was sold until the period ends; `at_once` is for everybody, also for those who keep
    older terms of this plan (`plan_versions`). What is None stays; `no_trial_calls` takes a trial's number of calls away, `no_log_days` the plan's own days of logs.
    Raises NotFound, InvalidValue.
    """
    given = {name: value for name, value in values.items() if value is not None}
    if no_trial_calls:
        given["trial_calls"] = None
    if no_log_days:
        given["log_days"] = None
    if unknown := sorted(given.keys() - CHANGEABLE):
        raise InvalidValue(f"A plan's {unknown[0]} cannot be changed.")
    if "name" in given:
        given["name"] = valid_name(given["name"])
    check_terms(given)
    if limits is not None:
        check_names(limits)
    plan_id = await connection.fetchval("select id from plan where slug = $1", slug)
    if plan_id is None:
        raise NotFound(f"There is no plan {slug}.")

    async def edit() -> PlanRecord:
        if given:
            columns = ", ".join(f"{name} = ${place}" for place, name in enumerate(given, 2))
            await connection.execute(f"update plan set {columns} where id = $1", plan_id, *given.values())
        if limits is not None:
            await replace_limits(connection, plan_id, limits)
        await set_prices(connection, plan_id, prices)
        return await fetch_plan(connection, slug)

    async with connection.transaction():
        record = await edit_plans(connection, [plan_id], edit, at_once=at_once)
        check_terms({"trial_days": record.trial_days, "trial_calls": record.trial_calls})
        return record


async def _records(connection: Any, rows: Sequence[Any]) -> list[PlanRecord]:
    ids = [row["id"] for row in rows]
    limits, prices = await limits_of(connection, ids), await prices_of(connection, ids)
    return [PlanRecord(**dict(row), limits=limits.get(row["id"], ()), prices=prices.get(row["id"], ())) for row in rows]


def check_terms(values: Mapping[str, Any]) -> None:
    """Raise InvalidValue for what no plan can have; only what is given is looked at."""
    for name, (least, most) in _BOUNDS.items():
        value = values.get(name)
        if value is not None and not least <= value <= most:
            raise InvalidValue(f"{_NAMED.get(name, name)} lies between {least} and {most}.")
    if values.get("overage", "block") not in {"block", "credits"}:
        raise InvalidValue("The overage is block or credits.")
    currency = values.get("currency", "USD")
    if len(currency) != 3 or not (currency.isascii() and currency.isalpha() and currency.isupper()):
        raise InvalidValue("The currency is an ISO 4217 code, such as USD.")
    if values.get("trial_calls") is not None and values.get("trial_days", 0) > LONGEST_TRIAL_OF_CALLS:
        raise InvalidValue(f"A trial with a number of calls has at most {LONGEST_TRIAL_OF_CALLS} days.")
