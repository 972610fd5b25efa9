"""Operations: what of a service is sold by itself, at which price."""

import re
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

import asyncpg

from domain.faults import Conflict, InvalidValue, NotFound
from domain.names import valid_name
from domain.path_patterns import pattern_shape, valid_pattern

METHOD = re.compile(r"[A-Z][A-Z-]{0,31}")
COLUMNS = (
    "o.id, s.slug as service_slug, o.name, o.method, o.path_pattern, o.price_micro, o.reserved, o.replays, o.enabled,"
    " o.created_at"
)


@dataclass(frozen=True, slots=True)
class OperationRecord:
    """One operation; `price_micro` in micro-credits."""

    id: UUID
    service_slug: str
    name: str
    method: str
    path_pattern: str
    price_micro: int
    reserved: bool
    replays: bool
    enabled: bool
    created_at: datetime


async def create(
    connection: Any,
    *,
    service_slug: str,
    method: str,
    path_pattern: str,
    name: str,
    price_micro: int = 0,
    reserved: bool = False,
    replays: bool = False,
) -> OperationRecord:
    """A new operation. Raises NotFound for the service; Conflict for a pattern that is there; InvalidValue."""
    pattern, method = valid_pattern(path_pattern), _valid_method(method)
    try:
        row = await connection.fetchrow(
            "with o as (insert into operation (service_id, name, method, path_pattern, price_micro, reserved,"
            " replays) select s.id, $2, $3, $4, $5, $6, $8 from service s where s.slug = $1 and not exists ("
            "  select from operation e where e.service_id = s.id and e.method = $3"
            "  and regexp_replace(e.path_pattern, '\\{[^}]*\\}', '{}', 'g') = $7) returning *)"
            f" select {COLUMNS} from o join service s on s.id = o.service_id",
            service_slug,
            valid_name(name),
            method,
            pattern,
            _valid_price(price_micro),
            reserved,
            pattern_shape(pattern),
            replays,
        )
    except asyncpg.UniqueViolationError:
        row = None
    if row is not None:
        return OperationRecord(**dict(row))
    if await connection.fetchval("select 1 from service where slug = $1", service_slug) is None:
        raise NotFound(f"There is no service {service_slug}.")
    raise Conflict(f"The service {service_slug} has an operation {method} {pattern} already.")


async def change(
    connection: Any,
    operation_id: UUID,
    *,
    name: str | None = None,
    price_micro: int | None = None,
    reserved: bool | None = None,
    replays: bool | None = None,
    enabled: bool | None = None,
) -> OperationRecord:
    """Change what is given. Raises NotFound, InvalidValue."""
    row = await connection.fetchrow(
        "with o as (update operation set name = coalesce($2, name), price_micro = coalesce($3, price_micro),"
        " reserved = coalesce($4, reserved), enabled = coalesce($5, enabled), replays = coalesce($6, replays)"
        " where id = $1 returning *)"
        f" select {COLUMNS} from o join service s on s.id = o.service_id",
        operation_id,
        valid_name(name) if name is not None else None,
        _valid_price(price_micro) if price_micro is not None else None,
        reserved,
        enabled,
        replays,
    )
    if row is None:
        raise NotFound(f"There is no operation {operation_id}.")
    return OperationRecord(**dict(row))


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


def _valid_method(text: str) -> str:
    method = text.upper()
    if method != "*" and not METHOD.fullmatch(method):
        raise InvalidValue(f"'{text[:40]}' is no method: write GET, or * for any.")
    return method


def _valid_price(price_micro: int) -> int:
    if not 0 <= price_micro < 2**63:
        raise InvalidValue("The price is not negative, and fits 63 bits.")
    return price_micro
