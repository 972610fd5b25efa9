"""How the caller wants to see and hear of things."""

from typing import Annotated, Any, Literal

from pydantic import ConfigDict, Field
from starlette.responses import Response

from domain.identity.preferences import Preferences, change_preferences, fetch_preferences, time_zones
from portal.api.endpoint import Endpoint
from portal.api.etags import etag, version_of
from portal.api.models import Answer, Body
from portal.web.admission import Audience
from portal.web.own import own_session
from portal.web.visit import Visit

Theme = Literal["system", "light", "dark"]
TimeZone = Annotated[
    str, Field(max_length=64, description="IANA name.", json_schema_extra={"enum": list(time_zones())})
]
_EXAMPLE: dict[str, Any] = {
    "theme": "dark", "time_zone": "Europe/Berlin",
    "notifications": {"new_device": True, "usage": True, "news": False},
}  # fmt: skip


class Notifications(Answer):
    """Which mails come."""

    new_device: bool = Field(description="A new device has signed in.")
    usage: bool = Field(description="Limits, quotas or credits run low.")
    news: bool = Field(description="New services and prices.")


class NotificationChange(Body):
    """Which mails shall come; what is left out stays."""

    new_device: bool | None = None
    usage: bool | None = None
    news: bool | None = None


class SettingsAnswer(Answer):
    """The caller's settings."""

    model_config = ConfigDict(json_schema_extra={"examples": [_EXAMPLE]})

    theme: Theme
    time_zone: str
    notifications: Notifications


class SettingsChange(Body):
    """What is left out stays."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"theme": "dark", "notifications": {"news": True}}]})

    theme: Theme | None = None
    time_zone: TimeZone | None = None
    notifications: NotificationChange | None = None


async def show(visit: Visit) -> Response:
    """GET /api/settings."""
    return _answer(await fetch_preferences(visit.connection, own_session(visit).user_id))


async def change(visit: Visit, body: SettingsChange) -> Response:
    """PATCH /api/settings."""
    session, version = own_session(visit), version_of(visit.request)
    before = await fetch_preferences(visit.connection, session.user_id)
    mails = body.notifications or NotificationChange()
    wanted = Preferences(
        version=version,
        theme=body.theme or before.theme,
        time_zone=body.time_zone or before.time_zone,
        notify_new_device=before.notify_new_device if mails.new_device is None else mails.new_device,
        notify_usage=before.notify_usage if mails.usage is None else mails.usage,
        notify_news=before.notify_news if mails.news is None else mails.news,
    )
    return _answer(await change_preferences(visit.connection, session.user_id, visit.actor, wanted, before=before))


def _answer(settings: Preferences) -> Response:
    answer = SettingsAnswer(
        theme=settings.theme,
        time_zone=settings.time_zone,
        notifications=Notifications(
            new_device=settings.notify_new_device, usage=settings.notify_usage, news=settings.notify_news
        ),
    )
    headers = {"etag": etag(settings.version)}
    return Response(answer.model_dump_json(), 200, headers, media_type="application/json")


ENDPOINTS = (
    Endpoint("GET", "/settings", show, "Your settings", "settings", answer=SettingsAnswer,
             audience=Audience.SIGNED_IN, etag=True),
    Endpoint("PATCH", "/settings", change, "Change your settings", "settings", body=SettingsChange,
             answer=SettingsAnswer, audience=Audience.SIGNED_IN, etag=True),
)  # fmt: skip
