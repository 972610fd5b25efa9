"""Webhook endpoints: the list, a new one, one with its settings and deliveries, its secret."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, ClassVar
from uuid import UUID

from starlette.responses import Response

from domain.access import Permission
from domain.faults import Conflict, Fault, InvalidValue
from domain.webhooks.addresses import Guard
from domain.webhooks.delivery_reading import STATES, DeliveryFilter, DeliveryRecord, list_deliveries
from domain.webhooks.endpoint_reading import (
    EndpointHealth,
    EndpointRecord,
    fetch_endpoint,
    health_of,
    list_endpoints,
)
from domain.webhooks.endpoints import (
    CreatedEndpoint,
    change_endpoint,
    create_endpoint,
    delete_endpoint,
    rotate_secret,
)
from domain.webhooks.event_types import EVENT_TYPES, EventType
from domain.webhooks.replaying import send_test
from portal.web.layout import Page
from portal.web.page import PageRoute, see_other
from portal.web.visit import Visit

LIST = "/o/{organization}/webhooks"
ONE = f"{LIST}/{{endpoint_id:uuid}}"
OVERLAPS = ((0, "not at all: the old secret ends now"), (1, "1 hour"), (24, "1 day"), (72, "3 days"), (168, "7 days"))


@dataclass(frozen=True, kw_only=True)
class EndpointsPage(Page):
    """All endpoints with their health."""

    template: ClassVar[str] = "webhooks.html"
    endpoints: list[tuple[EndpointRecord, EndpointHealth]]
    may_change: bool


@dataclass(frozen=True, kw_only=True)
class NewEndpointPage(Page):
    """The form of a new endpoint; `typed` is what stands in it."""

    template: ClassVar[str] = "webhook_new.html"
    typed: Mapping[str, Any]
    event_types: tuple[EventType, ...] = EVENT_TYPES


@dataclass(frozen=True, kw_only=True)
class SecretPage(Page):
    """A new secret, this once."""

    template: ClassVar[str] = "webhook_secret.html"
    record: EndpointRecord
    secret: str
    rotated: bool


@dataclass(frozen=True, kw_only=True)
class EndpointPage(Page):
    """One endpoint; `typed` is what stands in the form of its settings."""

    template: ClassVar[str] = "webhook.html"
    record: EndpointRecord
    health: EndpointHealth
    typed: Mapping[str, Any]
    deliveries: list[DeliveryRecord]
    following: str
    paged: bool
    state: str
    event: str
    may_change: bool
    now: datetime
    event_types: tuple[EventType, ...] = EVENT_TYPES
    states: tuple[str, ...] = STATES
    overlaps: tuple[tuple[int, str], ...] = OVERLAPS


async def index(visit: Visit) -> Page:
    """The list."""
    return EndpointsPage(
        title="Webhooks",
        endpoints=await list_endpoints(visit.connection, visit.access),
        may_change=visit.access.may(Permission.BUILD),
    )


async def new(visit: Visit) -> Page:
    """The empty form."""
    del visit
    return NewEndpointPage(title="New webhook endpoint", typed={"url": "", "description": "", "events": []})


async def create(visit: Visit) -> Page:
    """Make it and show its secret."""
    typed = _typed(visit)
    try:
        async with visit.change():
            made = await create_endpoint(
                visit.connection,
                visit.access,
                visit.actor,
                Guard(visit.settings.webhooks),
                visit.settings.secrets,
                url=typed["url"],
                description=typed["description"],
                event_types=typed["events"],
            )
    except (InvalidValue, Conflict) as fault:
        return NewEndpointPage(title="New webhook endpoint", typed=typed, error=str(fault), status=_status(fault))
    return _secret_page(made, rotated=False)


async def show(visit: Visit, endpoint_id: UUID) -> Page:
    """One endpoint."""
    return await _page(visit, endpoint_id)


async def change(visit: Visit, endpoint_id: UUID) -> Page | Response:
    """Change its settings."""
    typed = _typed(visit)
    try:
        async with visit.change():
            await change_endpoint(
                visit.connection,
                visit.access,
                visit.actor,
                Guard(visit.settings.webhooks),
                endpoint_id,
                url=typed["url"],
                description=typed["description"],
                event_types=typed["events"],
            )
    except InvalidValue as fault:
        return await _page(visit, endpoint_id, typed=typed, fault=fault)
    return see_other(visit.request.url.path, done="saved")


async def switch(visit: Visit, endpoint_id: UUID) -> Response:
    """Switch it on or off."""
    enabled = visit.form.get("enabled") == "yes"
    guard = Guard(visit.settings.webhooks)
    await change_endpoint(visit.connection, visit.access, visit.actor, guard, endpoint_id, enabled=enabled)
    return see_other(_path(visit, endpoint_id), done="webhook_on" if enabled else "webhook_off")


async def rotate(visit: Visit, endpoint_id: UUID) -> Page:
    """A new secret."""
    hours = {str(value): value for value, _ in OVERLAPS}.get(str(visit.form.get("overlap", "24")))
    if hours is None:
        return await _page(visit, endpoint_id, fault=InvalidValue("Choose one of the times in the list."))
    made = await rotate_secret(
        visit.connection,
        visit.access,
        visit.actor,
        visit.settings.secrets,
        endpoint_id,
        overlap=timedelta(hours=hours),
    )
    return _secret_page(made, rotated=True)


async def test(visit: Visit, endpoint_id: UUID) -> Page | Response:
    """Send a test event; the next page is its delivery."""
    try:
        async with visit.change():
            sent = await send_test(visit.connection, visit.access, visit.actor, endpoint_id)
    except Conflict as fault:
        return await _page(visit, endpoint_id, fault=fault)
    return see_other(f"/o/{visit.access.slug}/webhooks/deliveries/{sent.record.id}", done="webhook_queued")


async def delete(visit: Visit, endpoint_id: UUID) -> Response:
    """Delete it."""
    await delete_endpoint(visit.connection, visit.access, visit.actor, endpoint_id)
    return see_other(f"/o/{visit.access.slug}/webhooks", done="webhook_deleted")


async def _page(
    visit: Visit, endpoint_id: UUID, *, typed: Mapping[str, Any] | None = None, fault: Fault | None = None
) -> EndpointPage:
    record = await fetch_endpoint(visit.connection, visit.access, endpoint_id)
    query = visit.request.query_params
    state, event, cursor = query.get("state", ""), query.get("event", ""), query.get("cursor")
    deliveries, following = await list_deliveries(
        visit.connection,
        visit.access,
        DeliveryFilter(endpoint_id, state or None, event or None),
        cursor=cursor,
        limit=25,
    )
    return EndpointPage(
        title=record.description or record.url,
        record=record,
        health=(await health_of(visit.connection, visit.access, [endpoint_id]))[endpoint_id],
        typed=typed or {"url": record.url, "description": record.description, "events": record.event_types},
        deliveries=deliveries,
        following=following or "",
        paged=bool(cursor),
        state=state,
        event=event,
        now=datetime.now(UTC),
        may_change=visit.access.may(Permission.BUILD),
        error=str(fault) if fault else "",
        status=_status(fault) if fault else 200,
    )


def _secret_page(made: CreatedEndpoint, *, rotated: bool) -> SecretPage:
    title = "The new signing secret" if rotated else "The endpoint is ready"
    return SecretPage(title=title, record=made.record, secret=made.secret, rotated=rotated)


def _typed(visit: Visit) -> dict[str, Any]:
    events = visit.form.get("events", [])
    return {
        "url": str(visit.form.get("url", "")),
        "description": str(visit.form.get("description", "")),
        "events": [events] if isinstance(events, str) else list(events),
    }


def _status(fault: Fault) -> int:
    return 409 if isinstance(fault, Conflict) else 422


def _path(visit: Visit, endpoint_id: UUID) -> str:
    return f"/o/{visit.access.slug}/webhooks/{endpoint_id}"


PAGES = (
    PageRoute(LIST, index, permission=Permission.VIEW),
    PageRoute(f"{LIST}/new", new, permission=Permission.BUILD),
    PageRoute(f"{LIST}/new", create, "POST", permission=Permission.BUILD),
    PageRoute(ONE, show, permission=Permission.VIEW),
    PageRoute(ONE, change, "POST", permission=Permission.BUILD),
    PageRoute(f"{ONE}/state", switch, "POST", permission=Permission.BUILD),
    PageRoute(f"{ONE}/secret", rotate, "POST", permission=Permission.BUILD),
    PageRoute(f"{ONE}/test", test, "POST", permission=Permission.BUILD),
    PageRoute(f"{ONE}/delete", delete, "POST", permission=Permission.BUILD),
)
