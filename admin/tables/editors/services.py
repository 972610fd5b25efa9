"""Services and their operations."""

from collections.abc import Mapping
from typing import Any
from uuid import UUID

from admin.tables.editors.editor import Editor, Row, names
from domain import operations, services
from domain.faults import InvalidValue, NotFound
from domain.upstream_urls import weighted_text


async def _change_service(connection: Any, row: Row, changes: Row) -> None:
    await services.update(connection, row["slug"], **_service(changes))


async def _create_service(connection: Any, values: Row) -> UUID:
    made = await services.create(connection, slug=values["slug"], **_service(values, without="slug"))
    return made.id


def _service(values: Row, *, without: str = "") -> dict[str, Any]:
    """Columns as the command takes them."""
    given = {name: value for name, value in values.items() if name != without}
    if "route_prefix" in given:
        given["prefix"] = given.pop("route_prefix")
    if "upstreams" in given:
        given["upstreams"] = [_upstream(upstream) for upstream in _listed(given["upstreams"])]
    return given


def _listed(value: Any) -> list[Any]:
    if not isinstance(value, list):
        raise InvalidValue('Upstreams are a list: [{"url": "https://...", "weight": 1}].')
    return value


def _upstream(value: Any) -> str:
    """As people write it, which the command reads and checks."""
    url = value.get("url") if isinstance(value, Mapping) else value
    weight = value.get("weight", 1) if isinstance(value, Mapping) else 1
    if not isinstance(url, str) or not isinstance(weight, int) or isinstance(weight, bool):
        raise InvalidValue('An upstream is {"url": "https://...", "weight": 1}.')
    return weighted_text(url, weight)


async def _change_operation(connection: Any, row: Row, changes: Row) -> None:
    given = dict(changes)
    if "minimum_plan_id" in given:
        given["minimum_plan"] = await _plan(connection, given.pop("minimum_plan_id"))
    await operations.change(connection, row["id"], **given)


async def _create_operation(connection: Any, values: Row) -> UUID:
    given = dict(values)
    slug = await connection.fetchval("select slug from service where id = $1", given.pop("service_id"))
    if slug is None:
        raise NotFound("There is no such service.")
    minimum_plan = await _plan(connection, given.pop("minimum_plan_id", None))
    made = await operations.create(connection, service_slug=slug, minimum_plan=minimum_plan, **given)
    return made.id


async def _plan(connection: Any, plan_id: UUID | None) -> str:
    """The plan's slug; empty for none. Raises NotFound."""
    if plan_id is None:
        return ""
    slug: str | None = await connection.fetchval("select slug from plan where id = $1", plan_id)
    if slug is None:
        raise NotFound("There is no such plan.")
    return slug


SERVICE = Editor(
    services.CHANGEABLE | names("route_prefix upstreams"),
    _change_service,
    "select from service where id = $1 for no key update",
    services.CHANGEABLE | names("slug route_prefix upstreams"),
    _create_service,
)
OPERATION = Editor(
    names("name price_micro quota_cost minimum_plan_id reserved replays asynchronous enabled cost_formula"),
    _change_operation,
    "select from operation where id = $1 for no key update",
    names(
        "service_id name method path_pattern price_micro quota_cost minimum_plan_id reserved cost_formula replays"
        " asynchronous"
    ),
    _create_operation,
)
