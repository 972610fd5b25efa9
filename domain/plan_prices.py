"""What operations cost on one plan, where that is not what they cost otherwise: `weather:forecast=0.05`."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from domain.credit_amounts import parse_credits
from domain.faults import InvalidValue, NotFound

LARGEST_QUOTA_COST = 1_000_000_000
DEFAULT = "default"
"""Written instead of an amount: as for everybody."""

_SELECT = """
    select p.plan_id, s.slug, o.name, o.method, o.path_pattern, p.price_micro, p.quota_cost
    from plan_price p join operation o on o.id = p.operation_id join service s on s.id = o.service_id
    where p.plan_id = any($1) order by s.slug, o.path_pattern, o.method
"""
_OPERATIONS = """
    select o.id from operation o join service s on s.id = o.service_id
    where s.slug = $1 and (o.name = $2 or $3) and (not $3 or o.method || ' ' || o.path_pattern = $2)
"""
_RESOLVED = """
    select w.place, o.id
    from unnest($1::text[], $2::text[], $3::boolean[]) with ordinality as w (service, operation, by_path, place)
    join service s on s.slug = w.service
    join operation o on o.service_id = s.id
        and w.operation = case when w.by_path then o.method || ' ' || o.path_pattern else o.name end
    for key share of o
"""
_SET = """
    insert into plan_price as p (plan_id, operation_id, {column}) select $1, * from unnest($2::uuid[], $3::bigint[])
    on conflict on constraint uq_plan_price_plan_id_operation_id do update set {column} = excluded.{column}
"""
_DROP = "delete from plan_price where plan_id = $1 and operation_id = any($2) and {other} is null"
_RESET = "update plan_price set {column} = null where plan_id = $1 and operation_id = any($2) and {other} is not null"
_OTHER = {"price_micro": "quota_cost", "quota_cost": "price_micro"}


@dataclass(frozen=True, slots=True)
class PriceSpec:
    """An amount for one operation, by its service's slug and its name; None: as for everybody.

    `kind` is price_micro (micro-credits) or quota_cost (units). `by_path`: `operation` is a method and a path pattern.
    """

    service: str
    operation: str
    kind: str
    amount: int | None
    by_path: bool = False


@dataclass(frozen=True, slots=True)
class PlanPriceRecord:
    """What a plan says of one operation; None: as for everybody."""

    service: str
    operation: str
    method: str
    path_pattern: str
    price_micro: int | None
    quota_cost: int | None


def parse_price(text: str) -> PriceSpec:
    """`SERVICE:OPERATION=0.05` in credits, or `=default`. Raises InvalidValue."""
    service, operation, amount = _parts(text, "0.05")
    return PriceSpec(service, operation, "price_micro", None if amount == DEFAULT else parse_credits(amount))


def parse_quota_cost(text: str) -> PriceSpec:
    """`SERVICE:OPERATION=5` in units, or `=default`. Raises InvalidValue."""
    service, operation, amount = _parts(text, "5")
    if amount == DEFAULT:
        return PriceSpec(service, operation, "quota_cost", None)
    if not (amount.isascii() and amount.isdigit()) or int(amount) > LARGEST_QUOTA_COST:
        raise InvalidValue(f"'{text[:80]}': units are a whole number, at most {LARGEST_QUOTA_COST}.")
    return PriceSpec(service, operation, "quota_cost", int(amount))


def _parts(text: str, example: str) -> tuple[str, str, str]:
    target, equals, amount = text.rpartition("=")
    service, colon, operation = target.partition(":")
    if not (equals and colon and service.strip() and operation.strip() and amount.strip()):
        raise InvalidValue(f"'{text[:80]}' is no price: write SERVICE:OPERATION={example}, or ={DEFAULT}.")
    return service.strip(), operation.strip(), amount.strip()


async def prices_of(connection: Any, plan_ids: Sequence[UUID]) -> dict[UUID, tuple[PlanPriceRecord, ...]]:
    """The prices of each of these plans that has any, by service and path."""
    found: dict[UUID, tuple[PlanPriceRecord, ...]] = {}
    for plan_id, *values in await connection.fetch(_SELECT, plan_ids):
        found[plan_id] = (*found.get(plan_id, ()), PlanPriceRecord(*values))
    return found


async def set_prices(connection: Any, plan_id: UUID, prices: Sequence[PriceSpec]) -> None:
    """Set what is given; other prices stay. A name that several operations of a service share means all of them.

    Inside the caller's transaction, which holds the plan's row. Raises NotFound.
    """
    if not prices:
        return
    amounts: dict[str, dict[UUID, int | None]] = {kind: {} for kind in _OTHER}
    for spec, operation_ids in zip(prices, await _resolved(connection, prices), strict=True):
        amounts[spec.kind].update(dict.fromkeys(operation_ids, spec.amount))
    for kind, by_operation in amounts.items():
        given = {operation_id: amount for operation_id, amount in by_operation.items() if amount is not None}
        if given:
            await connection.execute(_SET.format(column=kind), plan_id, list(given), list(given.values()))
    # Amounts first: a row whose last amount is taken away is deleted.
    for kind, by_operation in amounts.items():
        taken = [operation_id for operation_id, amount in by_operation.items() if amount is None]
        if taken:
            await connection.execute(_DROP.format(other=_OTHER[kind]), plan_id, taken)
            await connection.execute(_RESET.format(column=kind, other=_OTHER[kind]), plan_id, taken)


async def _resolved(connection: Any, prices: Sequence[PriceSpec]) -> list[list[UUID]]:
    """The operations of each price, kept until the transaction ends. Raises NotFound for the first that has none."""
    columns = zip(*((spec.service, spec.operation, spec.by_path) for spec in prices), strict=True)
    found: list[list[UUID]] = [[] for _ in prices]
    for place, operation_id in await connection.fetch(_RESOLVED, *map(list, columns)):
        found[place - 1].append(operation_id)
    for spec, operation_ids in zip(prices, found, strict=True):
        if not operation_ids:
            raise _not_there(spec)
    return found


async def operations_of(connection: Any, spec: PriceSpec) -> list[UUID]:
    """The operations that a price is for, at least one. Raises NotFound."""
    rows = await connection.fetch(_OPERATIONS, spec.service, spec.operation, spec.by_path)
    if not rows:
        raise _not_there(spec)
    return [row["id"] for row in rows]


def _not_there(spec: PriceSpec) -> NotFound:
    return NotFound(f"There is no operation {spec.operation} of a service {spec.service}.")
