"""What the organization of a call is told of, and what stands now."""

from datetime import UTC, datetime
from typing import Annotated, Any, Literal

from pydantic import ConfigDict, Field

from domain.access import Permission
from domain.alerts.choices import LEAST_LEVEL, MOST_LEVELS, MOST_REQUESTS, AlertChoices, change_choice, fetch_choice
from domain.alerts.customer_reading import standing_alerts
from domain.credit_amounts import credits_text, parse_credits
from portal.api.endpoint import Endpoint
from portal.api.models import WHOLE, Answer, Body, Credits
from portal.web.visit import Visit

Kind = Literal["usage", "spend_cap", "credits_low", "usage_errors", "usage_cost"]
_CHOSEN: dict[str, Any] = {
    "usage_percents": [50, 80, 100], "low_credits": None, "day_cost": "25", "error_percent": 20, "error_requests": 100,
}  # fmt: skip
_STANDS: dict[str, Any] = {
    "kind": "usage", "name": "month", "percent": 80, "value": "8000", "threshold": "10000",
    "since": "2026-11-26T10:05:00Z", "ends_at": "2026-12-01T00:00:00Z",
}  # fmt: skip
Amount = Annotated[
    str, Field(pattern=r"^[0-9]{1,9}(\.[0-9]{1,6})?$", description="Decimal number of credits.", examples=["12.5"])
]
Percents = Annotated[
    list[Annotated[int, Field(ge=LEAST_LEVEL, le=100), WHOLE]],
    Field(max_length=MOST_LEVELS, description="Percents of limits, quotas and spend caps; empty: not told of."),
]


class Thresholds(Answer):
    """When the organization is told."""

    model_config = ConfigDict(json_schema_extra={"examples": [_CHOSEN]})

    usage_percents: list[int]
    low_credits: Credits | None = Field(description="Null: a share of what was last bought; 0: never.")
    day_cost: Credits | None = Field(description="Credits of a UTC day; null: not told of.")
    error_percent: int | None = Field(description="Share of failures; null: not told of.")
    error_requests: int = Field(description="Of fewer requests no share of failures is told of.")


class AlertAnswer(Answer):
    """One that stands; value and threshold as they were when it was reached."""

    kind: Kind
    name: str = Field(description="Of a limit or a spend cap.")
    percent: int
    value: str
    threshold: str = Field(description="Of failures: the number of requests.")
    since: datetime
    ends_at: datetime | None = Field(description="When what is counted begins anew.")


class AlertsAnswer(Answer):
    """What stands now, the newest first, and when the organization is told."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"open": [_STANDS], "thresholds": _CHOSEN}]})

    open: list[AlertAnswer]
    thresholds: Thresholds


class NewThresholds(Body):
    """All of them, as they shall be."""

    model_config = ConfigDict(extra="forbid", json_schema_extra={"examples": [_CHOSEN]})

    usage_percents: Percents
    low_credits: Amount | None
    day_cost: Amount | None
    error_percent: Annotated[int, Field(ge=1, le=100), WHOLE] | None
    error_requests: Annotated[int, Field(ge=1, le=MOST_REQUESTS), WHOLE]


async def show(visit: Visit) -> AlertsAnswer:
    """GET /api/alerts."""
    stand = await standing_alerts(visit.connection, visit.access, datetime.now(UTC))
    choice = await fetch_choice(visit.connection, visit.access.organization_id)
    return AlertsAnswer(
        open=[AlertAnswer.model_validate(alert, from_attributes=True) for alert in stand], thresholds=_told(choice)
    )


async def change(visit: Visit, body: NewThresholds) -> Thresholds:
    """PUT /api/alerts/thresholds."""
    wanted = AlertChoices(
        tuple(body.usage_percents),
        None if body.low_credits is None else parse_credits(body.low_credits),
        None if body.day_cost is None else parse_credits(body.day_cost),
        body.error_percent,
        body.error_requests,
    )
    return _told(await change_choice(visit.connection, visit.access, visit.actor, wanted))


def _told(choice: AlertChoices) -> Thresholds:
    return Thresholds(
        usage_percents=list(choice.usage_percents),
        low_credits=None if choice.low_credits_micro is None else credits_text(choice.low_credits_micro),
        day_cost=None if choice.day_cost_micro is None else credits_text(choice.day_cost_micro),
        error_percent=choice.error_percent,
        error_requests=choice.error_requests,
    )


ENDPOINTS = (
    Endpoint(
        "GET",
        "/alerts",
        show,
        "What stands now, and when you are told",
        "alerts",
        answer=AlertsAnswer,
        permission=Permission.BILLING_VIEW,
    ),
    Endpoint(
        "PUT",
        "/alerts/thresholds",
        change,
        "Choose when you are told",
        "alerts",
        body=NewThresholds,
        answer=Thresholds,
        permission=Permission.BUY,
        description="By mail to members who want it, and by the events usage.threshold, credits.low, usage.errors and"
        " usage.cost; once each time.",
    ),
)
