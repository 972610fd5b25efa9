"""Reading endpoints: each with how its deliveries of the last seven days went."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from domain.access import Access, Permission
from domain.faults import NotFound

COLUMNS = (
    "id, created_at, url, description, event_types, disabled_at, disabled_reason,"
    " case when old_secret_until > now() then old_secret_until end as old_secret_until"
)


@dataclass(frozen=True, slots=True)
class EndpointRecord:
    """One endpoint. No `event_types`: all. `old_secret_until` is None unless the former secret still signs."""

    id: UUID
    created_at: datetime
    url: str
    description: str
    event_types: list[str]
    disabled_at: datetime | None
    disabled_reason: str
    old_secret_until: datetime | None

    @property
    def enabled(self) -> bool:
        """Whether events are sent to it."""
        return self.disabled_at is None


@dataclass(frozen=True, slots=True)
class EndpointHealth:
    """How its deliveries went: the last one, and of seven days how many were delivered and given up.

    `last_state` is waiting, retrying, delivered or failed; None if there is none.
    """

    last_at: datetime | None = None
    last_state: str | None = None
    delivered: int = 0
    failed: int = 0


async def list_endpoints(connection: Any, access: Access) -> list[tuple[EndpointRecord, EndpointHealth]]:
    """The living endpoints of the organization with their health, oldest first. Raises Forbidden."""
    access.require(Permission.VIEW)
    rows = await connection.fetch(
        f"select {COLUMNS} from webhook_endpoint where organization_id = $1 and deleted_at is null"
        " order by created_at, id",
        access.organization_id,
    )
    records = [EndpointRecord(**dict(row)) for row in rows]
    health = await health_of(connection, access, [record.id for record in records])
    return [(record, health.get(record.id, EndpointHealth())) for record in records]


async def fetch_endpoint(connection: Any, access: Access, endpoint_id: UUID) -> EndpointRecord:
    """One living endpoint. Raises Forbidden, NotFound."""
    access.require(Permission.VIEW)
    row = await connection.fetchrow(
        f"select {COLUMNS} from webhook_endpoint where id = $1 and organization_id = $2 and deleted_at is null",
        endpoint_id,
        access.organization_id,
    )
    if row is None:
        raise NotFound("There is no such webhook endpoint.")
    return EndpointRecord(**dict(row))


async def health_of(connection: Any, access: Access, endpoint_ids: list[UUID]) -> dict[UUID, EndpointHealth]:
    """The health of these endpoints."""
    rows = await connection.fetch(
        "select e.id, last.created_at as last_at, last.state as last_state, coalesce(week.delivered, 0) as delivered,"
        " coalesce(week.failed, 0) as failed from webhook_endpoint e"
        " left join lateral (select created_at, case when state = 'waiting' and attempts > 0 then 'retrying'"
        " else state end as state from webhook_delivery where endpoint_id = e.id"
        " order by created_at desc limit 1) last on true"
        " left join lateral (select count(*) filter (where state = 'delivered') as delivered,"
        " count(*) filter (where state = 'failed') as failed from webhook_delivery"
        " where endpoint_id = e.id and created_at > now() - interval '7 days') week on true"
        " where e.organization_id = $1 and e.id = any($2)",
        access.organization_id,
        endpoint_ids,
    )
    return {
        row["id"]: EndpointHealth(row["last_at"], row["last_state"], row["delivered"], row["failed"]) for row in rows
    }
