"""The closed list of events: what each means, what its data looks like, whether the product sends it yet."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from domain.faults import InvalidValue

_KEY = {
    "id": "0d5b2f7e-3d52-4a0e-9c9c-1a5f6b0f4a11",
    "name": "Production",
    "prefix": "pe_live_4fQ9",
    "environment": "live",
    "expires_at": None,
}
_MEMBER = {"user_id": 42, "email": "ada@example.com", "role": "developer"}
_SUBSCRIPTION = {
    "plan": "pro",
    "state": "active",
    "next_plan": None,
    "period_end": "2026-12-26T10:00:00+00:00",
    "cancel_at": None,
}

_JOB = {
    "id": "019ac1f0-7a31-7b02-9d5e-3c7f5e0a9b11",
    "status": "completed",
    "reason": "",
    "error": "",
    "service": "reports",
    "operation": "render",
    "request_id": "019ac1f0-7a2f-7c33-8a41-0f1d2c3b4a59",
    "created_at": "2026-11-26T10:00:00+00:00",
    "ended_at": "2026-11-26T10:02:30+00:00",
    "charged": "5",
    "url": "/user/jobs/019ac1f0-7a31-7b02-9d5e-3c7f5e0a9b11",
}


@dataclass(frozen=True, slots=True)
class EventType:
    """One kind of event. `example` is its `data`; `emitted` False: reserved, not sent by this version."""

    name: str
    description: str
    example: Mapping[str, Any]
    emitted: bool = True


EVENT_TYPES: tuple[EventType, ...] = (
    EventType("key.created", "An API key was created.", _KEY),
    EventType(
        "key.rotated",
        "An API key was replaced. The old one works until old_key_expires_at.",
        {**_KEY, "replaces": "b6a0c0a4-52bb-4a3d-8a35-0b4f2c9f8f22", "old_key_expires_at": "2026-11-27T10:00:00+00:00"},
    ),
    EventType("key.revoked", "An API key was revoked and is refused from now on.", {**_KEY, "reason": "left the team"}),
    EventType("member.joined", "Somebody joined the organization.", _MEMBER),
    EventType("member.removed", "Somebody left the organization or was removed.", _MEMBER),
    EventType("subscription.changed", "The plan, its state or its end changed.", _SUBSCRIPTION),
    EventType(
        "credits.granted",
        "Credits were bought, given or corrected upwards.",
        {"kind": "purchase", "credits": "250", "expires_at": None},
    ),
    EventType("credits.low", "The balance fell below the threshold.", {"balance": "9.5", "threshold": "10"}),
    EventType(
        "usage.threshold",
        "A limit, quota or spend cap is used up to 50, 80 or 100 percent, or to percents of your own.",
        {
            "measure": "quota",
            "name": "month",
            "service": None,
            "operation": None,
            "period": "month",
            "percent": 80,
            "used": "8000",
            "limit": "10000",
            "resets_at": "2026-12-01T00:00:00+00:00",
        },
    ),
    EventType(
        "usage.errors",
        "More requests fail than you chose to accept.",
        {"failed": 31, "requests": 120, "percent": "25.8", "threshold": "20"},
    ),
    EventType(
        "usage.cost",
        "A day (UTC) costs as many credits as you chose.",
        {"day": "2026-11-26", "spent": "10.5", "threshold": "10"},
    ),
    EventType("job.completed", "A job of an asynchronous operation is done, and its result can be fetched.", _JOB),
    EventType(
        "job.failed",
        "A job of an asynchronous operation failed, was overdue or was cancelled. It was not charged.",
        {**_JOB, "status": "failed", "reason": "overdue", "error": "It was not completed in time.", "charged": "0"},
    ),
    EventType("webhook.test", "Sent by hand, to see that an endpoint works.", {"message": "It works."}),
)
BY_NAME: Mapping[str, EventType] = {event_type.name: event_type for event_type in EVENT_TYPES}
TEST = "webhook.test"


def example_payload(event_type: EventType) -> dict[str, Any]:
    """What is posted for such an event, as an example."""
    return {"type": event_type.name, "timestamp": "2026-11-26T10:00:00.000000+00:00", "data": dict(event_type.example)}


def valid_event_types(names: list[str]) -> list[str]:
    """The names in the order of the list, each once; none means all. Raises InvalidValue for one that is not there."""
    for name in names:
        if name not in BY_NAME:
            raise InvalidValue(f"There is no event {name[:60]!r}. The event reference lists all of them.")
    return [event_type.name for event_type in EVENT_TYPES if event_type.name in names]
