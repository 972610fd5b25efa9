"""Plans, their limits and their prices: every edit is one of the plan, so that who has subscribed keeps what was sold."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any
from uuid import UUID

from admin.tables.editors.editor import Editor, Row, names
from domain import plans
from domain.faults import Conflict, InvalidValue, NotFound
from domain.limit_texts import LARGEST_AMOUNT, LimitSpec, parse_limits
from domain.plan_prices import PriceSpec

_KINDS = ("price_micro", "quota_cost")


async def _change_plan(connection: Any, row: Row, changes: Row) -> None:
    nothing: dict[str, Any] = {
        f"no_{name}": True for name in ("trial_calls", "log_days") if changes.get(name, 0) is None
    }
    await plans.change(connection, row["slug"], **nothing, **changes)


async def _slug(connection: Any, plan_id: UUID) -> str:
    """The plan's slug, its row locked. Raises NotFound."""
    slug: str | None = await connection.fetchval("select slug from plan where id = $1 for no key update", plan_id)
    if slug is None:
        raise NotFound("There is no such plan.")
    return slug


async def _edit_limits(
    connection: Any, plan_id: UUID, edit: Callable[[list[LimitSpec]], list[LimitSpec]]
) -> list[LimitSpec]:
    """Make `edit` of the plan's limits its limits."""
    slug = await _slug(connection, plan_id)
    limits = edit(list((await plans.fetch_plan(connection, slug)).limits))
    await plans.change(connection, slug, limits=limits)
    return limits


async def _change_limit(connection: Any, row: Row, changes: Row) -> None:
    if not 1 <= changes.get("amount", 1) <= LARGEST_AMOUNT:
        raise InvalidValue(f"The amount lies between 1 and {LARGEST_AMOUNT}.")

    def edit(limits: list[LimitSpec]) -> list[LimitSpec]:
        return [replace(limit, **changes) if limit.name == row["name"] else limit for limit in limits]

    await _edit_limits(connection, row["plan_id"], edit)


async def _create_limit(connection: Any, values: Row) -> UUID:
    spec = await _limit_of(connection, values)
    await _edit_limits(connection, values["plan_id"], lambda limits: [*limits, spec])
    made: UUID = await connection.fetchval(
        "select id from plan_limit where plan_id = $1 and name = $2", values["plan_id"], spec.name
    )
    return made


async def _limit_of(connection: Any, values: Row) -> LimitSpec:
    """The limit that a new row means, read as people write it, so that nothing passes that could not be written."""
    service = operation = None
    if values.get("service_id"):
        service = await connection.fetchval("select slug from service where id = $1", values["service_id"])
        if service is None:
            raise InvalidValue("There is no such service.")
    if values.get("operation_id"):
        operation = await connection.fetchval(
            "select name from operation where id = $1 and service_id = $2",
            values["operation_id"],
            values.get("service_id"),
        )
        if operation is None:
            raise InvalidValue("The operation is not one of the service.")
    spec = LimitSpec(
        values["name"],
        values["amount"],
        values["period"],
        values.get("scope", "organization"),
        service=service,
        operation=operation,
        shadow=values.get("shadow", False),
        unit=values.get("unit", "requests"),
    )
    text = [f"{spec.name}={spec.text}"]
    if spec.unit == "quota":
        return parse_limits([], quotas=text)[0]
    return parse_limits([] if spec.shadow else text, shadow=text if spec.shadow else [])[0]


async def _delete_limit(connection: Any, row: Row) -> None:
    def edit(limits: list[LimitSpec]) -> list[LimitSpec]:
        return [limit for limit in limits if limit.name != row["name"]]

    if not await _edit_limits(connection, row["plan_id"], edit):
        raise Conflict("This is the plan's last limit. Without one it would be unlimited: add another first.")


async def _set_prices(connection: Any, row: Row, amounts: Row) -> None:
    """Say what the row's operation costs on its plan; None is as for everybody."""
    slug = await _slug(connection, row["plan_id"])
    operation = await connection.fetchrow(
        "select s.slug, o.method || ' ' || o.path_pattern as path from operation o join service s on s.id = o.service_id"
        " where o.id = $1",
        row["operation_id"],
    )
    if operation is None:
        raise NotFound("There is no such operation.")
    specs = []
    for kind, amount in amounts.items():
        if amount is not None and not 0 <= amount <= (10**15 if kind == "price_micro" else 10**9):
            raise InvalidValue(f"{kind} is not negative, and not that large.")
        specs.append(PriceSpec(operation["slug"], operation["path"], kind, amount, by_path=True))
    await plans.change(connection, slug, prices=specs)


async def _change_price(connection: Any, row: Row, changes: Row) -> None:
    if all({**row, **changes}[kind] is None for kind in _KINDS):
        raise Conflict("A row that says nothing is not kept: delete it instead.")
    await _set_prices(connection, row, changes)


async def _create_price(connection: Any, values: Row) -> UUID:
    there = "select id from plan_price where plan_id = $1 and operation_id = $2"
    which = (values["plan_id"], values["operation_id"])
    if await connection.fetchval(there, *which):
        raise Conflict("The plan has a price for this operation already: change that.")
    amounts = {kind: values[kind] for kind in _KINDS if values.get(kind) is not None}
    if not amounts:
        raise InvalidValue("Say price_micro, quota_cost, or both.")
    await _set_prices(connection, values, amounts)
    made: UUID = await connection.fetchval(there, *which)
    return made


async def _delete_price(connection: Any, row: Row) -> None:
    await _set_prices(connection, row, dict.fromkeys(_KINDS))


_OF_PLAN = "select from plan where id = (select plan_id from {table} where id = $1) for no key update"

PLAN = Editor(frozenset(plans.CHANGEABLE), _change_plan, "select from plan where id = $1 for no key update")
PLAN_LIMIT = Editor(
    names("amount shadow"),
    _change_limit,
    _OF_PLAN.format(table="plan_limit"),
    names("plan_id name amount period scope unit shadow service_id operation_id"),
    _create_limit,
    _delete_limit,
)
PLAN_PRICE = Editor(
    frozenset(_KINDS),
    _change_price,
    _OF_PLAN.format(table="plan_price"),
    names("plan_id operation_id price_micro quota_cost"),
    _create_price,
    _delete_price,
)
