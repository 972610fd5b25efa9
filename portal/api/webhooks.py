"""Webhooks: endpoints, their deliveries, the list of events."""

from datetime import timedelta
from uuid import UUID

from domain.access import Permission
from domain.webhooks.addresses import Guard
from domain.webhooks.delivery_reading import DeliveryFilter, fetch_delivery, list_deliveries
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
from domain.webhooks.event_types import EVENT_TYPES, example_payload
from domain.webhooks.replaying import replay_delivery, send_test
from portal.api.endpoint import Endpoint
from portal.api.models import ListPage
from portal.api.webhook_models import (
    DeliveryAnswer,
    DeliveryDetailAnswer,
    DeliveryQuery,
    EndpointAnswer,
    EndpointChange,
    EndpointWithSecret,
    EventTypeAnswer,
    NewEndpoint,
    SecretRotation,
    delivery_answer,
    detail_answer,
    endpoint_fields,
)
from portal.web.visit import Visit

VIEW, BUILD = Permission.VIEW, Permission.BUILD


async def index(visit: Visit) -> ListPage[EndpointAnswer]:
    """GET /api/webhooks: at most 20, so one page."""
    found = await list_endpoints(visit.connection, visit.access)
    return ListPage[EndpointAnswer](data=[EndpointAnswer(**endpoint_fields(*pair)) for pair in found])


async def create(visit: Visit, body: NewEndpoint) -> EndpointWithSecret:
    """POST /api/webhooks."""
    settings = visit.settings
    made = await create_endpoint(
        visit.connection,
        visit.access,
        visit.actor,
        Guard(settings.webhooks),
        settings.secrets,
        url=body.url,
        description=body.description,
        event_types=body.events,
    )
    return _with_secret(made, EndpointHealth())


async def show(visit: Visit, endpoint_id: UUID) -> EndpointAnswer:
    """GET /api/webhooks/{id}."""
    return await _answer(visit, await fetch_endpoint(visit.connection, visit.access, endpoint_id))


async def change(visit: Visit, endpoint_id: UUID, body: EndpointChange) -> EndpointAnswer:
    """PATCH /api/webhooks/{id}."""
    record = await change_endpoint(
        visit.connection,
        visit.access,
        visit.actor,
        Guard(visit.settings.webhooks),
        endpoint_id,
        url=body.url,
        description=body.description,
        event_types=body.events,
        enabled=body.enabled,
    )
    return await _answer(visit, record)


async def delete(visit: Visit, endpoint_id: UUID) -> None:
    """DELETE /api/webhooks/{id}."""
    await delete_endpoint(visit.connection, visit.access, visit.actor, endpoint_id)


async def rotate(visit: Visit, endpoint_id: UUID, body: SecretRotation) -> EndpointWithSecret:
    """POST /api/webhooks/{id}/secret."""
    made = await rotate_secret(
        visit.connection,
        visit.access,
        visit.actor,
        visit.settings.secrets,
        endpoint_id,
        overlap=timedelta(hours=body.overlap_hours),
    )
    return _with_secret(made, await _health(visit, endpoint_id))


async def test(visit: Visit, endpoint_id: UUID) -> DeliveryDetailAnswer:
    """POST /api/webhooks/{id}/test."""
    return detail_answer(await send_test(visit.connection, visit.access, visit.actor, endpoint_id))


async def deliveries(visit: Visit, endpoint_id: UUID, query: DeliveryQuery) -> ListPage[DeliveryAnswer]:
    """GET /api/webhooks/{id}/deliveries."""
    await fetch_endpoint(visit.connection, visit.access, endpoint_id)
    which = DeliveryFilter(endpoint_id, query.state, query.event)
    records, following = await list_deliveries(
        visit.connection, visit.access, which, cursor=query.cursor, limit=query.limit
    )
    return ListPage[DeliveryAnswer](data=[delivery_answer(record) for record in records], next_cursor=following)


async def delivery(visit: Visit, delivery_id: UUID) -> DeliveryDetailAnswer:
    """GET /api/webhooks/deliveries/{id}."""
    return detail_answer(await fetch_delivery(visit.connection, visit.access, delivery_id))


async def replay(visit: Visit, delivery_id: UUID) -> DeliveryDetailAnswer:
    """POST /api/webhooks/deliveries/{id}/replay."""
    return detail_answer(await replay_delivery(visit.connection, visit.access, visit.actor, delivery_id))


async def events(visit: Visit) -> ListPage[EventTypeAnswer]:
    """GET /api/webhooks/events."""
    del visit
    return ListPage[EventTypeAnswer](
        data=[
            EventTypeAnswer(
                name=event_type.name,
                description=event_type.description,
                emitted=event_type.emitted,
                example=example_payload(event_type),
            )
            for event_type in EVENT_TYPES
        ]
    )


async def _health(visit: Visit, endpoint_id: UUID) -> EndpointHealth:
    return (await health_of(visit.connection, visit.access, [endpoint_id]))[endpoint_id]


async def _answer(visit: Visit, record: EndpointRecord) -> EndpointAnswer:
    return EndpointAnswer(**endpoint_fields(record, await _health(visit, record.id)))


def _with_secret(made: CreatedEndpoint, health: EndpointHealth) -> EndpointWithSecret:
    return EndpointWithSecret(**endpoint_fields(made.record, health), secret=made.secret)


_LIST, _ONE, _DELIVERY = "/webhooks", "/webhooks/{endpoint_id:uuid}", "/webhooks/deliveries/{delivery_id:uuid}"
ENDPOINTS = (
    Endpoint("GET", _LIST, index, "Webhook endpoints", "webhooks", answer=ListPage[EndpointAnswer], permission=VIEW),
    Endpoint(
        "POST", _LIST, create, "Create a webhook endpoint", "webhooks", body=NewEndpoint, answer=EndpointWithSecret,
        permission=BUILD, status=201, creates=True, shown_once=("secret",),
    ),
    Endpoint(
        "GET", f"{_LIST}/events", events, "All kinds of events", "webhooks", answer=ListPage[EventTypeAnswer],
        permission=VIEW,
    ),
    Endpoint("GET", _ONE, show, "One webhook endpoint", "webhooks", answer=EndpointAnswer, permission=VIEW),
    Endpoint(
        "PATCH", _ONE, change, "Change a webhook endpoint", "webhooks", body=EndpointChange, answer=EndpointAnswer,
        permission=BUILD,
    ),
    Endpoint("DELETE", _ONE, delete, "Delete a webhook endpoint", "webhooks", permission=BUILD, status=204),
    Endpoint(
        "POST", f"{_ONE}/secret", rotate, "Rotate the signing secret", "webhooks", body=SecretRotation,
        answer=EndpointWithSecret, permission=BUILD, creates=True, shown_once=("secret",),
    ),
    Endpoint(
        "POST", f"{_ONE}/test", test, "Send a test event", "webhooks", answer=DeliveryDetailAnswer, permission=BUILD,
        status=201, creates=True,
    ),
    Endpoint(
        "GET", f"{_ONE}/deliveries", deliveries, "Deliveries to an endpoint", "webhooks", query=DeliveryQuery,
        answer=ListPage[DeliveryAnswer], permission=VIEW,
    ),
    Endpoint(
        "GET", _DELIVERY, delivery, "One delivery", "webhooks", answer=DeliveryDetailAnswer, permission=VIEW
    ),
    Endpoint(
        "POST", f"{_DELIVERY}/replay", replay, "Send an event again", "webhooks", answer=DeliveryDetailAnswer,
        permission=BUILD, status=201, creates=True,
    ),
)  # fmt: skip
