"""What calls about webhooks take and answer."""

from datetime import datetime
from typing import Annotated, Any, Literal
from uuid import UUID

from pydantic import ConfigDict, Field, StrictBool

from domain.webhooks.delivery_reading import DeliveryDetail, DeliveryRecord
from domain.webhooks.endpoint_reading import EndpointHealth, EndpointRecord
from domain.webhooks.event_types import EVENT_TYPES
from portal.api.models import WHOLE, Answer, Body, PageQuery

_ID = "3f6c1d58-0f0b-4b4e-9d0a-5f3b0c9f7a21"
_EVENT_ID = "9a1e7c34-6c2d-4b8e-a5f0-2d1c3b4a5e6f"
_NAMES = [event_type.name for event_type in EVENT_TYPES]
_LABEL = "[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?"
_OCTET = "(?:25[0-5]|2[0-4][0-9]|1[0-9][0-9]|[1-9]?[0-9])"
_HOST = rf"(?:(?:{_LABEL}\.){{0,8}}[a-z]{{2,24}}|(?:{_OCTET}\.){{3}}{_OCTET})"
_URL = rf"^https?://{_HOST}(?::(?:[1-5][0-9]{{4}}|[1-9][0-9]{{0,3}}))?(?:[/?][!-\"$-\[\]-~]*)?$"

Url = Annotated[
    str,
    Field(
        min_length=11,
        max_length=2000,
        pattern=_URL,
        description="https, and of the public internet.",
        examples=["https://example.com/webhooks"],
    ),
]
Description = Annotated[str, Field(max_length=500, pattern=r"^[^\x00]*$", examples=["Billing service"])]
EventName = Annotated[str, Field(json_schema_extra={"enum": _NAMES}, examples=["key.revoked"])]
Events = Annotated[list[EventName], Field(max_length=50, description="Which events; empty: all.")]


class NewEndpoint(Body):
    """A new webhook endpoint."""

    url: Url
    description: Description = ""
    events: Events = Field(default_factory=list)


class EndpointChange(Body):
    """What may be changed of an endpoint; what is not given stays."""

    url: Url | None = None
    description: Description | None = None
    events: Events | None = None
    enabled: StrictBool | None = None


class SecretRotation(Body):
    """For how long the secret before goes on signing beside the new one."""

    overlap_hours: Annotated[int, Field(ge=0, le=168, examples=[24]), WHOLE] = 24


_ENDPOINT: dict[str, Any] = {
    "id": _ID,
    "url": "https://example.com/webhooks",
    "description": "Billing service",
    "events": ["key.revoked"],
    "enabled": True,
    "disabled_at": None,
    "disabled_reason": "",
    "created_at": "2026-11-26T10:00:00Z",
    "both_sign_until": None,
    "last_delivery_at": "2026-11-26T11:00:00Z",
    "last_delivery_state": "delivered",
    "delivered_in_7_days": 41,
    "failed_in_7_days": 0,
}


class EndpointAnswer(Answer):
    """A webhook endpoint and how its deliveries go. `both_sign_until`: until then the former secret signs too."""

    model_config = ConfigDict(json_schema_extra={"examples": [_ENDPOINT]})

    id: UUID
    url: str
    description: str
    events: list[str] = Field(description="Which events; empty: all.")
    enabled: bool
    disabled_at: datetime | None
    disabled_reason: str
    created_at: datetime
    both_sign_until: datetime | None
    last_delivery_at: datetime | None
    last_delivery_state: str | None = Field(description="waiting, retrying, delivered or failed.")
    delivered_in_7_days: int
    failed_in_7_days: int


class EndpointWithSecret(EndpointAnswer):
    """An endpoint and its new secret, which is shown this once."""

    model_config = ConfigDict(json_schema_extra={"examples": [{**_ENDPOINT, "secret": "whsec_..."}]})

    secret: str | None = Field(description="Shown once; null in the answer to a repeated Idempotency-Key.")


class EventTypeAnswer(Answer):
    """One kind of event."""

    name: str = Field(examples=["key.revoked"])
    description: str = Field(examples=["An API key was revoked."])
    emitted: bool = Field(description="false: reserved, not sent yet.", examples=[True])
    example: dict[str, Any] = Field(description="What is posted.", examples=[{"type": "key.revoked"}])


class DeliveryQuery(PageQuery):
    """Which deliveries of an endpoint."""

    state: Literal["waiting", "delivered", "failed"] | None = None
    event: Annotated[str | None, Field(json_schema_extra={"enum": _NAMES})] = None


_DELIVERY: dict[str, Any] = {
    "id": "c8b7a6d5-1e2f-4a3b-8c4d-5e6f7a8b9c0d",
    "created_at": "2026-11-26T11:00:00Z",
    "event_id": _EVENT_ID,
    "event_type": "key.revoked",
    "endpoint_id": _ID,
    "url": "https://example.com/webhooks",
    "state": "delivered",
    "attempts": 1,
    "due_at": None,
    "ended_at": "2026-11-26T11:00:01Z",
    "response_status": 200,
    "duration_ms": 84,
    "last_error": "",
}


class DeliveryAnswer(Answer):
    """One event on its way to one endpoint. `due_at` is the next try."""

    model_config = ConfigDict(json_schema_extra={"examples": [_DELIVERY]}, from_attributes=True)

    id: UUID
    created_at: datetime
    event_id: UUID = Field(description="The webhook-id header: the same for all attempts and replays.")
    event_type: str
    endpoint_id: UUID
    url: str
    state: str
    attempts: int
    due_at: datetime | None
    ended_at: datetime | None
    response_status: int | None
    duration_ms: int | None
    last_error: str


class DeliveryDetailAnswer(DeliveryAnswer):
    """A delivery with what was posted and the beginning of the last answer."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    **_DELIVERY,
                    "payload": '{"type": "key.revoked"}',
                    "headers": {"content-type": "application/json"},
                    "response_excerpt": "ok",
                }
            ]
        }
    )

    payload: str = Field(description="The posted bytes, as text.")
    headers: dict[str, str] = Field(description="What each attempt carries.")
    response_excerpt: str = Field(description="At most 4 KB of the last answer.")


def endpoint_fields(record: EndpointRecord, health: EndpointHealth) -> dict[str, Any]:
    """An endpoint as the API says it."""
    return {
        "id": record.id,
        "url": record.url,
        "description": record.description,
        "events": record.event_types,
        "enabled": record.enabled,
        "disabled_at": record.disabled_at,
        "disabled_reason": record.disabled_reason,
        "created_at": record.created_at,
        "both_sign_until": record.old_secret_until,
        "last_delivery_at": health.last_at,
        "last_delivery_state": health.last_state,
        "delivered_in_7_days": health.delivered,
        "failed_in_7_days": health.failed,
    }


def delivery_answer(record: DeliveryRecord) -> DeliveryAnswer:
    """A delivery as a list shows it."""
    return DeliveryAnswer.model_validate(record)


def detail_answer(detail: DeliveryDetail) -> DeliveryDetailAnswer:
    """A delivery with everything."""
    return DeliveryDetailAnswer(
        **delivery_answer(detail.record).model_dump(),
        payload=detail.payload,
        headers=detail.headers,
        response_excerpt=detail.response_excerpt,
    )
