"""One delivery of a webhook with everything that is known of it, and the reference of all events."""

import json
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import ClassVar
from uuid import UUID

from starlette.responses import Response

from domain.access import Permission
from domain.faults import Conflict
from domain.webhooks.delivery_reading import DeliveryDetail, fetch_delivery
from domain.webhooks.event_types import EVENT_TYPES, EventType, example_payload
from domain.webhooks.replaying import replay_delivery
from domain.webhooks.schedule import MOST_ATTEMPTS
from portal.web.layout import Page
from portal.web.page import PageRoute, see_other
from portal.web.visit import Visit

ROOT = "/o/{organization}/webhooks"
ONE = f"{ROOT}/deliveries/{{delivery_id:uuid}}"


@dataclass(frozen=True, kw_only=True)
class DeliveryPage(Page):
    """One delivery. `payload` is what was posted, laid out to be read."""

    template: ClassVar[str] = "webhook_delivery.html"
    detail: DeliveryDetail
    payload: str
    may_change: bool
    now: datetime
    most_attempts: int = MOST_ATTEMPTS


@dataclass(frozen=True, kw_only=True)
class EventsPage(Page):
    """Every kind of event with an example, and how to verify a signature."""

    template: ClassVar[str] = "webhook_events.html"
    event_types: tuple[tuple[EventType, str], ...]


async def show(visit: Visit, delivery_id: UUID) -> Page:
    """One delivery."""
    return await _page(visit, delivery_id)


async def replay(visit: Visit, delivery_id: UUID) -> Page | Response:
    """Send its event again; the next page is the new delivery."""
    try:
        async with visit.change():
            made = await replay_delivery(visit.connection, visit.access, visit.actor, delivery_id)
    except Conflict as fault:
        return await _page(visit, delivery_id, error=str(fault))
    return see_other(f"/o/{visit.access.slug}/webhooks/deliveries/{made.record.id}", done="webhook_queued")


async def events(visit: Visit) -> Page:
    """The reference."""
    del visit
    examples = tuple((kind, json.dumps(example_payload(kind), indent=2)) for kind in EVENT_TYPES)
    return EventsPage(title="Webhook events", event_types=examples)


async def _page(visit: Visit, delivery_id: UUID, *, error: str = "") -> DeliveryPage:
    detail = await fetch_delivery(visit.connection, visit.access, delivery_id)
    return DeliveryPage(
        title=f"Delivery of {detail.record.event_type}",
        detail=detail,
        payload=_laid_out(detail.payload),
        now=datetime.now(UTC),
        may_change=visit.access.may(Permission.BUILD),
        error=error,
        status=409 if error else 200,
    )


def _laid_out(payload: str) -> str:
    """The JSON over several lines, the type first."""
    document = json.loads(payload)
    first = [name for name in ("type", "timestamp", "data") if name in document]
    return json.dumps({name: document[name] for name in [*first, *document]}, indent=2, ensure_ascii=False)


PAGES = (
    PageRoute(f"{ROOT}/events", events, permission=Permission.VIEW),
    PageRoute(ONE, show, permission=Permission.VIEW),
    PageRoute(f"{ONE}/replay", replay, "POST", permission=Permission.BUILD),
)
