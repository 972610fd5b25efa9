"""Services: upstream APIs under a route prefix of the gateway."""

import json
from collections.abc import Iterable
from dataclasses import dataclass, fields
from datetime import datetime
from typing import Any
from uuid import UUID

import asyncpg

from domain.faults import Conflict, InvalidValue, NotFound
from domain.names import valid_name, valid_slug
from domain.route_prefixes import valid_prefix
from domain.upstream_urls import valid_upstreams

CHANGEABLE = frozenset(
    [
        "name",
        "description",
        "category",
        "icon",
        "colour",
        "sort_order",
        "version",
        "enabled",
        "featured",
        "beta",
        "coming_soon",
        "minimum_plan_id",
        "keep_prefix",
        "charge_on",
        "connect_timeout_ms",
        "first_byte_timeout_ms",
        "idle_timeout_ms",
        "total_timeout_ms",
        "max_connections",
        "max_body_bytes",
        "tls_verify",
        "cors_origins",
        "job_concurrency",
        "job_timeout_seconds",
    ]
)
"""Columns that `create` and `update` take as they are; the database checks their bounds."""


@dataclass(frozen=True, slots=True)
class ServiceRecord:
    """One service. Timeouts in milliseconds; `total_timeout_ms`, `max_body_bytes`, `job_concurrency` 0: no limit."""

    id: UUID
    slug: str
    name: str
    description: str
    category: str
    icon: str
    colour: str
    sort_order: int
    version: str
    enabled: bool
    featured: bool
    beta: bool
    coming_soon: bool
    minimum_plan_id: UUID | None
    route_prefix: str
    keep_prefix: bool
    upstreams: tuple[str, ...]
    charge_on: str
    connect_timeout_ms: int
    first_byte_timeout_ms: int
    idle_timeout_ms: int
    total_timeout_ms: int
    max_connections: int
    max_body_bytes: int
    tls_verify: bool
    cors_origins: tuple[str, ...]
    job_concurrency: int
    job_timeout_seconds: int
    created_at: datetime


COLUMNS = ", ".join(field.name for field in fields(ServiceRecord))


async def create(
    connection: Any, *, slug: str, prefix: str, upstreams: Iterable[str], name: str | None = None, **columns: Any
) -> ServiceRecord:
    """A new service; without a name, the slug serves. `columns` are of CHANGEABLE. Raises Conflict, InvalidValue."""
    statement, values = creation(slug=slug, prefix=prefix, upstreams=upstreams, name=name, **columns)
    return record_of(await _write(connection, statement, values))


def creation(
    *, slug: str, prefix: str, upstreams: Iterable[str], name: str | None = None, **columns: Any
) -> tuple[str, list[Any]]:
    """The statement that makes a service, and its values, checked. Raises InvalidValue."""
    values = {
        "slug": valid_slug(slug),
        "route_prefix": valid_prefix(prefix),
        "upstreams": json.dumps(valid_upstreams(upstreams)),
        **_checked({"name": name or slug, **columns}),
    }
    places = ", ".join(f"${number}" for number in range(1, len(values) + 1))
    return f"insert into service ({', '.join(values)}) values ({places}) returning {COLUMNS}", list(values.values())


async def create_many(connection: Any, creations: Iterable[tuple[str, list[Any]]]) -> None:
    """What `creation` made, those with the same columns at once. What PostgreSQL refuses it does not name."""
    by_statement: dict[str, list[list[Any]]] = {}
    for statement, values in creations:
        by_statement.setdefault(statement, []).append(values)
    for statement, rows in by_statement.items():
        await connection.executemany(statement, rows)


async def update(
    connection: Any,
    slug: str,
    *,
    prefix: str | None = None,
    upstreams: Iterable[str] | None = None,
    **columns: Any,
) -> ServiceRecord:
    """Change what is given; `upstreams` replaces all of them. Raises NotFound, Conflict, InvalidValue."""
    values = _checked(columns)
    if prefix is not None:
        values["route_prefix"] = valid_prefix(prefix)
    if upstreams is not None:
        values["upstreams"] = json.dumps(valid_upstreams(upstreams))
    if not values:
        return await fetch_service(connection, slug)
    changes = ", ".join(f"{column} = ${number}" for number, column in enumerate(values, 2))
    statement = f"update service set {changes} where slug = $1 returning {COLUMNS}"
    row = await _write(connection, statement, [slug, *values.values()])
    if row is None:
        raise NotFound(f"There is no service {slug}.")
    return record_of(row)


async def fetch_service(connection: Any, slug: str) -> ServiceRecord:
    """One service by its slug. Raises NotFound."""
    row = await connection.fetchrow(f"select {COLUMNS} from service where slug = $1", slug)
    if row is None:
        raise NotFound(f"There is no service {slug}.")
    return record_of(row)


async def list_services(connection: Any) -> list[ServiceRecord]:
    """Every service in the catalog's order."""
    rows = await connection.fetch(f"select {COLUMNS} from service order by sort_order, slug")
    return [record_of(row) for row in rows]


def record_of(row: Any) -> ServiceRecord:
    """A row of COLUMNS as a record; `upstreams` as URLs."""
    values = dict(row)
    values["upstreams"] = tuple(upstream["url"] for upstream in json.loads(values["upstreams"]))
    values["cors_origins"] = tuple(values["cors_origins"])
    return ServiceRecord(**values)


def _checked(columns: dict[str, Any]) -> dict[str, Any]:
    if unknown := set(columns) - CHANGEABLE:
        raise InvalidValue(f"A service has no changeable {', '.join(sorted(unknown))}.")
    if "name" in columns:
        columns = {**columns, "name": valid_name(columns["name"])}
    return columns


async def _write(connection: Any, statement: str, values: list[Any]) -> Any:
    try:
        return await connection.fetchrow(statement, *values)
    except asyncpg.UniqueViolationError as error:
        what = "prefix" if error.constraint_name == "uq_service_route_prefix" else "slug"
        raise Conflict(f"Another service has this {what}.") from None
    except asyncpg.ForeignKeyViolationError:
        raise NotFound("There is no such minimum plan.") from None
    except asyncpg.CheckViolationError as error:
        rule = (error.constraint_name or "").removeprefix("ck_service_")
        raise InvalidValue(f"The service's {rule} is out of bounds.") from None
    except asyncpg.DataError as error:
        raise InvalidValue(f"A value of the service does not fit: {error}.") from None
