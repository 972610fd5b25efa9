"""What usage can be narrowed to: an organization's keys, and the services and operations that there are."""

from dataclasses import dataclass
from typing import Any
from uuid import UUID

from domain.access import Access, Permission
from domain.analytics.sources import Filter

MOST_KEYS = 200
MOST_OPERATIONS = 500

_CHOICES = f"""
(select 'key' as kind, id, name, prefix || '\u2026' || last4 as detail, null::uuid as of_service
   from (select * from api_key where organization_id = $1
          order by id = $2 desc nulls last, last_used_at desc nulls last, created_at desc limit {MOST_KEYS}) as k
  order by lower(name), id)
union all
(select 'service', id, name, route_prefix, null from service
  where enabled or id = $3 order by sort_order, lower(name) limit {MOST_OPERATIONS})
union all
(select 'operation', o.id, o.name, s.name, s.id from operation o join service s on s.id = o.service_id
  where ($3::uuid is null or s.id = $3) order by o.id = $4 desc nulls last, lower(s.name), lower(o.name)
  limit {MOST_OPERATIONS})
union all
(select 'used', organization_id, '', '', null from usage_summary where organization_id = $1 limit 1)
"""


@dataclass(frozen=True, slots=True)
class Choice:
    """One key, service or operation. `detail`: a key's ending, a service's route prefix, an operation's service."""

    id: UUID
    name: str
    detail: str


@dataclass(frozen=True, slots=True)
class Choices:
    """By name. Of keys the 200 that were used last, of operations 500, always with those of the filter."""

    keys: tuple[Choice, ...]
    services: tuple[Choice, ...]
    operations: tuple[Choice, ...]
    used: bool
    """Whether the organization has ever made a request that is folded."""


async def read_choices(connection: Any, access: Access, wanted: Filter) -> Choices:
    """What the filters offer. One query."""
    access.require(Permission.VIEW)
    rows = await connection.fetch(
        _CHOICES, access.organization_id, wanted.key_id, wanted.service_id, wanted.operation_id
    )
    found: dict[str, list[Choice]] = {"key": [], "service": [], "operation": [], "used": []}
    for row in rows:
        found[row["kind"]].append(Choice(row["id"], row["name"], row["detail"]))
    return Choices(tuple(found["key"]), tuple(found["service"]), tuple(found["operation"]), used=bool(found["used"]))
