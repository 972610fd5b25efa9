"""What operators do to customers' webhooks: events sent again, one or all that failed; with its trace.

All of it belongs into the caller's transaction. The endpoint's row is held, so that of two who ask at once the second finds
what the first has queued.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from domain import audit
from domain.faults import Conflict, NotFound

MOST_AT_ONCE = 1_000
_ENDPOINT = """
select e.id, e.organization_id, e.url, o.slug, o.name, e.deleted_at is null and e.disabled_at is null as live
  from webhook_endpoint e join organization o on o.id = e.organization_id where e.id = $1
"""
_DELIVERY = """
select d.id, d.event_id, d.endpoint_id, v.type, d.state, d.created_at, d.attempts, d.last_error,
       exists (select from webhook_delivery w where w.event_id = d.event_id and w.endpoint_id = d.endpoint_id
                  and w.state = 'waiting') as waits
  from webhook_delivery d join webhook_event v on v.id = d.event_id where d.id = $1
"""
# An event that came through later, or that waits again, is not sent once more.
_FAILED = """
select v.id, v.type, v.created_at from webhook_event v
 where v.id in (select d.event_id from webhook_delivery d where d.endpoint_id = $1 and d.state = 'failed'
                   and d.created_at >= $2)
   and not exists (select from webhook_delivery w where w.event_id = v.id and w.endpoint_id = $1
                      and w.state in ('waiting', 'delivered'))
 order by v.created_at, v.id limit $3
"""
_QUEUE = """
insert into webhook_delivery (event_id, endpoint_id, organization_id)
select event_id, $2, $3 from unnest($1::uuid[]) as event_id returning id
"""


@dataclass(frozen=True, slots=True)
class Endpoint:
    """Where events go. `live`: neither switched off nor deleted."""

    id: UUID
    organization_id: UUID
    url: str
    slug: str
    name: str
    live: bool


@dataclass(frozen=True, slots=True)
class Delivery:
    """One delivery. `waits`: its event waits already to be sent to that endpoint again."""

    id: UUID
    event_id: UUID
    endpoint_id: UUID
    type: str
    state: str
    created_at: datetime
    attempts: int
    last_error: str
    waits: bool


@dataclass(frozen=True, slots=True)
class FailedEvent:
    """An event that never came through to an endpoint."""

    id: UUID
    type: str
    created_at: datetime


async def fetch_endpoint(connection: Any, endpoint_id: UUID) -> Endpoint:
    """An endpoint of any organization, that can be sent to. Raises NotFound, Conflict."""
    row = await connection.fetchrow(_ENDPOINT, endpoint_id)
    if row is None:
        raise NotFound("There is no such webhook endpoint.")
    found = Endpoint(**dict(row))
    if not found.live:
        raise Conflict("The endpoint is switched off or deleted. Its organization has to switch it on first.")
    return found


async def fetch_replayable(connection: Any, delivery_id: UUID) -> tuple[Delivery, Endpoint]:
    """A delivery that can be made again, and where it goes. Raises NotFound, Conflict."""
    row = await connection.fetchrow(_DELIVERY, delivery_id)
    if row is None:
        raise NotFound("There is no such delivery.")
    delivery = Delivery(**dict(row))
    endpoint = await fetch_endpoint(connection, delivery.endpoint_id)
    if delivery.waits:
        raise Conflict("This event already waits to be sent to that endpoint.")
    return delivery, endpoint


async def failed_events(connection: Any, endpoint: Endpoint, since: datetime) -> list[FailedEvent]:
    """The events that failed since then and came through never, oldest first; at most MOST_AT_ONCE."""
    rows = await connection.fetch(_FAILED, endpoint.id, since, MOST_AT_ONCE)
    return [FailedEvent(**dict(row)) for row in rows]


async def replay(connection: Any, actor: audit.Actor, delivery_id: UUID, *, reason: str) -> UUID:
    """Send the event of a delivery again, under the same event id; the new delivery. Raises NotFound, Conflict."""
    await _hold(
        connection, await connection.fetchval("select endpoint_id from webhook_delivery where id = $1", delivery_id)
    )
    delivery, endpoint = await fetch_replayable(connection, delivery_id)
    [made] = await _queue(connection, endpoint, [delivery.event_id])
    thing = audit.Thing("webhook_delivery", str(made), delivery.type)
    after = {"event_id": delivery.event_id, "url": endpoint.url}
    await _trace(connection, actor, endpoint, thing, after, reason)
    return made


async def replay_failed(connection: Any, actor: audit.Actor, endpoint_id: UUID, since: datetime, *, reason: str) -> int:
    """Send all events again that failed since then; how many. Raises NotFound, Conflict where there is none."""
    await _hold(connection, endpoint_id)
    endpoint = await fetch_endpoint(connection, endpoint_id)
    events = await failed_events(connection, endpoint, since)
    if not events:
        raise Conflict("No event is left that failed since then and did not come through.")
    await _queue(connection, endpoint, [event.id for event in events])
    thing = audit.Thing("webhook_endpoint", str(endpoint.id), endpoint.url)
    await _trace(connection, actor, endpoint, thing, {"events": len(events), "since": since}, reason)
    return len(events)


async def _hold(connection: Any, endpoint_id: UUID | None) -> None:
    await connection.fetchval("select id from webhook_endpoint where id = $1 for no key update", endpoint_id)


async def _queue(connection: Any, endpoint: Endpoint, event_ids: Sequence[UUID]) -> list[UUID]:
    rows = await connection.fetch(_QUEUE, list(event_ids), endpoint.id, endpoint.organization_id)
    return [row["id"] for row in rows]


async def _trace(
    connection: Any, actor: audit.Actor, endpoint: Endpoint, thing: audit.Thing, after: dict[str, Any], reason: str
) -> None:
    verb = audit.Verb.WEBHOOK_REPLAY
    await audit.record(
        connection, actor, verb, thing, organization_id=endpoint.organization_id, after=after, reason=reason
    )
