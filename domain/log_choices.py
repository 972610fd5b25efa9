"""What request logs of an organization can be filtered by: its keys that were used last, services, operations."""

from dataclasses import dataclass
from typing import Any
from uuid import UUID

MOST_KEYS, MOST_OPERATIONS = 50, 500


@dataclass(frozen=True, slots=True)
class KeyChoice:
    """A key by what it begins with, and its name."""

    prefix: str
    name: str


@dataclass(frozen=True, slots=True)
class OperationChoice:
    """An operation of a service."""

    id: UUID
    service: str
    name: str


@dataclass(frozen=True, slots=True)
class LogChoices:
    """What is offered; other keys can be written."""

    keys: list[KeyChoice]
    services: list[tuple[str, str]]
    """Slug and name."""
    operations: list[OperationChoice]


async def read_choices(connection: Any, organization_id: UUID) -> LogChoices:
    """What to offer to a member of the organization."""
    keys = await connection.fetch(
        "select prefix, name from api_key where organization_id = $1 order by last_used_at desc nulls last, id limit $2",
        organization_id,
        MOST_KEYS,
    )
    services = await connection.fetch("select slug, name from service order by lower(name), slug")
    operations = await connection.fetch(
        "select o.id, s.slug as service, o.name from operation o join service s on s.id = o.service_id"
        " order by lower(s.name), o.name, o.id limit $1",
        MOST_OPERATIONS,
    )
    return LogChoices(
        [KeyChoice(**row) for row in keys],
        [(row["slug"], row["name"]) for row in services],
        [OperationChoice(**row) for row in operations],
    )
