"""Events as rows of the transaction that caused them: what is rolled back is never told, what is committed is."""

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any
from uuid import UUID, uuid4

from domain.stored_json import stored_json
from domain.webhooks.event_types import BY_NAME

_EMIT = (
    "with listening as (select id from webhook_endpoint where organization_id = $2 and deleted_at is null"
    " and disabled_at is null and (event_types = '{}' or $3 = any(event_types))),"
    " event as (insert into webhook_event (id, created_at, organization_id, type, payload)"
    " select $1, $4, $2, $3, $5::jsonb where exists (select from listening) returning id)"
    " insert into webhook_delivery (event_id, endpoint_id, organization_id, created_at, due_at)"
    " select event.id, listening.id, $2, $4, $4 from event, listening"
)


async def emit(
    connection: Any, organization_id: UUID, event_type: str, data: Mapping[str, Any], *, now: datetime | None = None
) -> UUID:
    """Queue an event for every endpoint of the organization that wants it; its id. Where none does, nothing is kept.

    One statement on the caller's connection, so that it happens with the change or not at all. Raises KeyError for a
    type that is not in the list: a fault of ours. Values that JSON does not know become text.
    """
    event_id = uuid4()
    moment = now or datetime.now(UTC)
    await connection.execute(
        _EMIT, event_id, organization_id, BY_NAME[event_type].name, moment, payload(event_type, data, moment)
    )
    return event_id


def payload(event_type: str, data: Mapping[str, Any], at: datetime) -> str:
    """The JSON of an event. It is stored, and the stored text is what is sent and signed."""
    document = {"type": event_type, "timestamp": at.isoformat(timespec="microseconds"), "data": dict(data)}
    return stored_json(document, _text)


def _text(value: Any) -> str:
    return value.isoformat() if isinstance(value, datetime) else str(value)
