"""Operations: what of a service is sold by itself, at which price."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

import asyncpg

from domain.cost_formulas import settles_late, valid_formula
from domain.faults import Conflict, InvalidValue, NotFound
from domain.names import valid_name
from domain.path_patterns import pattern_shape, valid_pattern
from domain.plan_prices import LARGEST_QUOTA_COST
from domain.plan_versions import edit_plans, followed_plans

METHOD = re.compile(r"[A-Z][A-Z-]{0,31}")
COLUMNS = (
    "o.id, s.slug as service_slug, o.name, o.method, o.path_pattern, o.price_micro, o.quota_cost,"
    " (select slug from plan where id = o.minimum_plan_id) as minimum_plan, o.reserved, o.replays, o.asynchronous,"
    " o.enabled, o.created_at, o.cost_formula"
)
_CREATE = f"""
    with o as (
        insert into operation (service_id, name, method, path_pattern, price_micro, reserved, quota_cost, minimum_plan_id,
            cost_formula, replays, asynchronous, enabled)
        select s.id, $2, $3, $4, $5, $6, $8, $9, $10, $11, $12, $13 from service s where s.slug = $1 and not exists (
            select from operation e where e.service_id = s.id and e.method = $3
            and regexp_replace(e.path_pattern, '\\{{[^}}]*\\}}', '{{}}', 'g') = $7)
        returning *)
    select {COLUMNS} from o join service s on s.id = o.service_id
"""
_NOT_BOTH = "cost_formula: answer.* and replays don't go together: an outcome that is kept is paid whole."
_LATE = "cost_formula: answer.* and asynchronous don't go together: a job costs what is known when it is accepted."
_CHANGE = f"""
    with o as (
        update operation set name = coalesce($2, name), price_micro = coalesce($3, price_micro),
            quota_cost = coalesce($4, quota_cost), reserved = coalesce($5, reserved), enabled = coalesce($6, enabled),
            minimum_plan_id = case when $7 then $8 else minimum_plan_id end, cost_formula = coalesce($9, cost_formula),
            replays = coalesce($10, replays), asynchronous = coalesce($11, asynchronous)
        where id = $1 returning *)
    select {COLUMNS} from o join service s on s.id = o.service_id
"""


@dataclass(frozen=True, slots=True)
class OperationRecord:
    """One operation; `price_micro` in micro-credits, `quota_cost` in units; `minimum_plan` is a slug, None for any.

    Requests cost less by `cost_formula`, where it is not empty.
    """

    id: UUID
    service_slug: str
    name: str
    method: str
    path_pattern: str
    price_micro: int
    quota_cost: int
    minimum_plan: str | None
    reserved: bool
    replays: bool
    asynchronous: bool
    enabled: bool
    created_at: datetime
    cost_formula: str


async def create(
    connection: Any,
    *,
    service_slug: str,
    method: str,
    path_pattern: str,
    minimum_plan: str | None = None,
    **values: Any,
) -> OperationRecord:
    """A new operation: a `name`, and what else of an OperationRecord is not as for any. `minimum_plan` is a slug.

    Raises NotFound for the service or plan; Conflict for a pattern that is there; InvalidValue.
    """
    minimum_plan_id = await plan_id_of(connection, minimum_plan)
    row = creation(service_slug, method, path_pattern, minimum_plan_id=minimum_plan_id, **values)
    try:
        made = await connection.fetchrow(_CREATE, *row)
    except asyncpg.UniqueViolationError:
        made = None
    if made is not None:
        return OperationRecord(**dict(made))
    if await connection.fetchval("select 1 from service where slug = $1", service_slug) is None:
        raise NotFound(f"There is no service {service_slug}.")
    raise Conflict(f"The service {service_slug} has an operation {row[2]} {row[3]} already.")


def creation(
    service_slug: str,
    method: str,
    path_pattern: str,
    *,
    name: str,
    price_micro: int = 0,
    quota_cost: int = 1,
    minimum_plan_id: UUID | None = None,
    reserved: bool = False,
    cost_formula: str = "",
    replays: bool = False,
    asynchronous: bool = False,
    enabled: bool = True,
) -> tuple[Any, ...]:
    """A new operation, checked, as `create_many` takes it. Raises InvalidValue."""
    pattern, method = valid_pattern(path_pattern), valid_method(method)
    return (
        service_slug,
        valid_name(name),
        method,
        pattern,
        _valid_price(price_micro),
        reserved,
        pattern_shape(pattern),
        _valid_quota_cost(quota_cost),
        minimum_plan_id,
        _formula_with_terms(cost_formula, pattern, price_micro, replays=replays, asynchronous=asynchronous),
        replays,
        asynchronous,
        enabled,
    )


async def create_many(connection: Any, creations: Sequence[tuple[Any, ...]]) -> None:
    """What `creation` made, on one way to the database and back. Raises Conflict where one of them cannot be, unnamed.

    Then some may be written: roll back, and `create` names it.
    """
    if creations and len(await connection.fetchmany(_CREATE, creations)) != len(creations):
        raise Conflict("One of these operations is there already, or its service is not.")


async def change(
    connection: Any,
    operation_id: UUID,
    *,
    minimum_plan: str | None = None,
    at_once: bool = False,
    **values: Any,
) -> OperationRecord:
    """Change what is given of an OperationRecord; `minimum_plan` is a slug, empty for any plan; an empty `cost_formula`
    takes it away.

    Who has subscribed pays the former price, and the former units, until the period ends; `at_once` does without that,
    but for those who keep older terms of their plan anyway (`plan_versions`). A `cost_formula` holds for everybody at
    once, up to the price of each. Raises NotFound, InvalidValue.
    """
    found = await fetch_operation(connection, operation_id)
    minimum_plan_id = await plan_id_of(connection, minimum_plan)
    row = alteration(found, minimum_plan=minimum_plan, minimum_plan_id=minimum_plan_id, **values)
    sold = not at_once and changes_terms(values)

    async def edit() -> Any:
        return await connection.fetchrow(_CHANGE, *row)

    made = await (edit_plans(connection, await followed_plans(connection), edit) if sold else edit())
    if made is None:
        raise NotFound(f"There is no operation {operation_id}.")
    return OperationRecord(**dict(made))


def changes_terms(values: Mapping[str, Any]) -> bool:
    """Whether a change of these is one of what plans sell."""
    return values.get("price_micro") is not None or values.get("quota_cost") is not None


def alteration(
    found: OperationRecord,
    *,
    name: str | None = None,
    price_micro: int | None = None,
    quota_cost: int | None = None,
    minimum_plan: str | None = None,
    minimum_plan_id: UUID | None = None,
    reserved: bool | None = None,
    replays: bool | None = None,
    asynchronous: bool | None = None,
    enabled: bool | None = None,
    cost_formula: str | None = None,
) -> tuple[Any, ...]:
    """What becomes of an operation, checked, as `change_many` takes it. Raises InvalidValue."""
    if cost_formula or replays or asynchronous:
        cap = found.price_micro if price_micro is None else price_micro
        formula = found.cost_formula if cost_formula is None else cost_formula
        kept = found.replays if replays is None else replays
        later = found.asynchronous if asynchronous is None else asynchronous
        if cost_formula:
            cost_formula = _formula_with_terms(cost_formula, found.path_pattern, cap, replays=kept, asynchronous=later)
        else:
            _refuse_late(formula, found.path_pattern, replays=kept, asynchronous=later)
    return (
        found.id,
        valid_name(name) if name is not None else None,
        _valid_price(price_micro) if price_micro is not None else None,
        _valid_quota_cost(quota_cost) if quota_cost is not None else None,
        reserved,
        enabled,
        minimum_plan is not None,
        minimum_plan_id,
        cost_formula,
        replays,
        asynchronous,
    )


async def change_many(connection: Any, alterations: Sequence[tuple[Any, ...]], *, sold: bool) -> None:
    """What `alteration` made, on one way to the database and back; the operations are there. `sold`: who has subscribed
    keeps the former terms until the period ends.
    """

    async def edit() -> None:
        await connection.executemany(_CHANGE, alterations)

    if alterations:
        await (edit_plans(connection, await followed_plans(connection), edit) if sold else edit())


async def fetch_operation(connection: Any, operation_id: UUID) -> OperationRecord:
    """One operation by its id. Raises NotFound."""
    row = await connection.fetchrow(
        f"select {COLUMNS} from operation o join service s on s.id = o.service_id where o.id = $1", operation_id
    )
    if row is None:
        raise NotFound(f"There is no operation {operation_id}.")
    return OperationRecord(**dict(row))


async def list_operations(connection: Any, *, service_slug: str | None = None) -> list[OperationRecord]:
    """Operations of a service (None: of all), by service and path."""
    rows = await connection.fetch(
        f"select {COLUMNS} from operation o join service s on s.id = o.service_id"
        " where $1::text is null or s.slug = $1 order by s.slug, o.path_pattern, o.method",
        service_slug,
    )
    return [OperationRecord(**dict(row)) for row in rows]


def valid_method(text: str) -> str:
    """An HTTP method in upper case, or `*`. Raises InvalidValue."""
    method = text.upper()
    if method != "*" and not METHOD.fullmatch(method):
        raise InvalidValue(f"'{text[:40]}' is no method: write GET, or * for any.")
    return method


def _valid_price(price_micro: int) -> int:
    if not 0 <= price_micro < 2**63:
        raise InvalidValue("The price is not negative, and fits 63 bits.")
    return price_micro


def _valid_quota_cost(units: int) -> int:
    if not 0 <= units <= LARGEST_QUOTA_COST:
        raise InvalidValue(f"The units of a request lie between 0 and {LARGEST_QUOTA_COST}.")
    return units


async def plan_id_of(connection: Any, slug: str | None) -> UUID | None:
    """None for no slug, and for an empty one."""
    if not slug:
        return None
    plan_id: UUID | None = await connection.fetchval("select id from plan where slug = $1", slug)
    if plan_id is None:
        raise NotFound(f"There is no plan {slug}.")
    return plan_id


def _formula_with_terms(text: str, pattern: str, price_micro: int, *, replays: bool, asynchronous: bool) -> str:
    formula = valid_formula(text, pattern)
    if formula and not price_micro:
        raise InvalidValue("cost_formula: expected a price with it, which is the most that a request costs.")
    _refuse_late(formula, pattern, replays=replays, asynchronous=asynchronous)
    return formula


def _refuse_late(formula: str, pattern: str, *, replays: bool, asynchronous: bool) -> None:
    if (replays or asynchronous) and settles_late(formula, pattern):
        raise InvalidValue(_NOT_BOTH if replays else _LATE)
