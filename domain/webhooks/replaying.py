"""Deliveries that somebody asks for: an event once more, or a test event."""

from datetime import UTC, datetime
from typing import Any
from uuid import UUID, uuid4

from domain import audit
from domain.access import Access, Permission
from domain.faults import Conflict
from domain.webhooks.delivery_reading import DeliveryDetail, fetch_delivery
from domain.webhooks.emitting import payload
from domain.webhooks.endpoint_reading import fetch_endpoint
from domain.webhooks.event_types import TEST

_OFF = "The endpoint is switched off or deleted. Switch it on first."


async def replay_delivery(connection: Any, access: Access, actor: audit.Actor, delivery_id: UUID) -> DeliveryDetail:
    """Send the event of a delivery to its endpoint again, under the same event id. Raises Forbidden, NotFound, Conflict."""
    access.require(Permission.BUILD)
    old = (await fetch_delivery(connection, access, delivery_id)).record
    new_id = await _queue(connection, access, old.event_id, old.endpoint_id)
    if new_id is None:
        raise Conflict(
            "This event already waits to be sent to that endpoint." if await _live(connection, old) else _OFF
        )
    await audit.record(
        connection,
        actor,
        audit.Verb.WEBHOOK_REPLAY,
        audit.Thing("webhook_delivery", str(new_id), old.event_type),
        organization_id=access.organization_id,
        after={"event_id": old.event_id, "url": old.url},
    )
    return await fetch_delivery(connection, access, new_id)


async def send_test(connection: Any, access: Access, actor: audit.Actor, endpoint_id: UUID) -> DeliveryDetail:
    """Queue a test event for one endpoint, whatever events it takes. Raises Forbidden, NotFound, Conflict."""
    access.require(Permission.BUILD)
    endpoint = await fetch_endpoint(connection, access, endpoint_id)
    if not endpoint.enabled:
        raise Conflict(_OFF)
    event_id, now = uuid4(), datetime.now(UTC)
    queued = await connection.fetchval(
        "insert into webhook_event (id, created_at, organization_id, type, payload) select $1, $2, $3, $4, $5::jsonb"
        " where not exists (select from webhook_delivery d join webhook_event v on v.id = d.event_id"
        " where d.endpoint_id = $6 and d.state = 'waiting' and v.type = $4) returning true",
        event_id,
        now,
        access.organization_id,
        TEST,
        payload(TEST, {"message": "It works.", "sent_by": actor.name}, now),
        endpoint_id,
    )
    if not queued:
        raise Conflict("A test event already waits to be sent to this endpoint.")
    delivery_id = await _queue(connection, access, event_id, endpoint_id)
    if delivery_id is None:
        raise Conflict(_OFF)
    thing = audit.Thing("webhook_endpoint", str(endpoint_id), endpoint.url)
    await audit.record(connection, actor, audit.Verb.WEBHOOK_TEST, thing, organization_id=access.organization_id)
    return await fetch_delivery(connection, access, delivery_id)


async def _queue(connection: Any, access: Access, event_id: UUID, endpoint_id: UUID) -> UUID | None:
    """A new delivery; None if the endpoint is off or the same event waits for it already."""
    queued: UUID | None = await connection.fetchval(
        "insert into webhook_delivery (event_id, endpoint_id, organization_id)"
        " select v.id, e.id, e.organization_id from webhook_event v, webhook_endpoint e where v.id = $1 and e.id = $2"
        " and e.organization_id = $3 and v.organization_id = $3 and e.deleted_at is null and e.disabled_at is null"
        " and not exists (select from webhook_delivery d where d.event_id = v.id and d.endpoint_id = e.id"
        " and d.state = 'waiting') returning id",
        event_id,
        endpoint_id,
        access.organization_id,
    )
    return queued


async def _live(connection: Any, record: Any) -> bool:
    return bool(
        await connection.fetchval(
            "select true from webhook_endpoint where id = $1 and deleted_at is null and disabled_at is null",
            record.endpoint_id,
        )
    )
