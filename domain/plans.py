"""Plans and their limits."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from domain.faults import Conflict, InvalidValue, NotFound
from domain.limit_texts import LimitSpec, check_names
from domain.names import valid_name, valid_slug
from domain.plan_limits import limits_of, replace_limits

COLUMNS = (
    "p.id, p.slug, p.name, p.description, p.active, p.public, p.price_cents, p.currency::text as currency,"
    " p.sort_order, p.created_at"
)
HIGHEST_RANK = 1_000_000


@dataclass(frozen=True, slots=True)
class PlanRecord:
    """One plan; `price_cents` a month, in hundredths of `currency`; limits by period, shortest first."""

    id: UUID
    slug: str
    name: str
    description: str
    active: bool
    public: bool
    price_cents: int
    currency: str
    sort_order: int
    created_at: datetime
    limits: tuple[LimitSpec, ...]


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
) -> PlanRecord:
    """A new plan with its limits, in one transaction; without a name, the slug serves.

    Raises Conflict, InvalidValue; NotFound for a service or operation that a limit names.
    """
    _check_price(price_cents, currency)
    _check_rank(sort_order)
    check_names(limits)
    async with connection.transaction():
        plan_id = await connection.fetchval(
            "insert into plan (slug, name, description, public, price_cents, currency, sort_order)"
            " values ($1, $2, $3, $4, $5, $6, $7) on conflict on constraint uq_plan_slug do nothing returning id",
            valid_slug(slug),
            valid_name(name or slug),
            description,
            public,
            price_cents,
            currency,
            sort_order,
        )
        if plan_id is None:
            raise Conflict(f"There is already a plan {slug}.")
        await replace_limits(connection, plan_id, limits)
        return await fetch_plan(connection, slug)


async def fetch_plan(connection: Any, slug: str) -> PlanRecord:
    """One plan by its slug. Raises NotFound."""
    row = await connection.fetchrow(f"select {COLUMNS} from plan p where p.slug = $1", slug)
    if row is None:
        raise NotFound(f"There is no plan {slug}.")
    limits = await limits_of(connection, [row["id"]])
    return PlanRecord(**dict(row), limits=limits.get(row["id"], ()))


async def list_plans(connection: Any) -> list[PlanRecord]:
    """Every plan, lowest first."""
    rows = await connection.fetch(f"select {COLUMNS} from plan p order by p.sort_order, p.slug")
    limits = await limits_of(connection, [row["id"] for row in rows])
    return [PlanRecord(**dict(row), limits=limits.get(row["id"], ())) for row in rows]


async def change(
    connection: Any,
    slug: str,
    *,
    name: str | None = None,
    description: str | None = None,
    active: bool | None = None,
    public: bool | None = None,
    price_cents: int | None = None,
    sort_order: int | None = None,
    limits: list[LimitSpec] | None = None,
) -> PlanRecord:
    """Change what is given; `limits` replaces all of them. Raises NotFound, InvalidValue."""
    if price_cents is not None:
        _check_price(price_cents, "USD")
    if sort_order is not None:
        _check_rank(sort_order)
    if limits is not None:
        check_names(limits)
    async with connection.transaction():
        # The row lock taken here orders two changes of one plan's limits.
        plan_id = await connection.fetchval(
            "update plan set name = coalesce($2, name), description = coalesce($3, description),"
            " active = coalesce($4, active), public = coalesce($5, public), price_cents = coalesce($6, price_cents),"
            " sort_order = coalesce($7, sort_order) where slug = $1 returning id",
            slug,
            valid_name(name) if name is not None else None,
            description,
            active,
            public,
            price_cents,
            sort_order,
        )
        if plan_id is None:
            raise NotFound(f"There is no plan {slug}.")
        if limits is not None:
            await replace_limits(connection, plan_id, limits)
        return await fetch_plan(connection, slug)


def _check_rank(sort_order: int) -> None:
    if not 0 <= sort_order <= HIGHEST_RANK:
        raise InvalidValue(f"The rank lies between 0 and {HIGHEST_RANK}.")


def _check_price(price_cents: int, currency: str) -> None:
    if not 0 <= price_cents <= 10**12:
        raise InvalidValue("The price lies between 0 and 10,000,000,000.00.")
    if len(currency) != 3 or not (currency.isascii() and currency.isalpha() and currency.isupper()):
        raise InvalidValue("The currency is an ISO 4217 code, such as USD.")
