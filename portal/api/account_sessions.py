"""The browsers in which the caller is signed in, and the accounts elsewhere that sign them in."""

from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from pydantic import ConfigDict

from domain.identity.connections import disconnect, list_connections
from domain.identity.own_sessions import end_one, end_others, list_sessions
from portal.api.endpoint import Endpoint
from portal.api.models import Answer, ListPage
from portal.web.admission import Audience
from portal.web.own import own_session
from portal.web.visit import Visit

_SESSION: dict[str, Any] = {
    "id": "7e0c3b0e-2f86-4a55-9a55-8f2a5a1f0c11", "browser": "Firefox on Linux", "user_agent": "Mozilla/5.0 ...",
    "address": "192.0.2.1", "created_at": "2026-11-26T10:00:00Z", "last_seen_at": "2026-11-26T10:20:00Z",
    "awaits_factor": False, "current": True,
}  # fmt: skip
_CONNECTION: dict[str, Any] = {
    "id": "7e0c3b0e-2f86-4a55-9a55-8f2a5a1f0c11", "issuer": "https://accounts.google.com", "email": "ada@example.com",
    "created_at": "2026-11-26T10:00:00Z", "last_used_at": None,
}  # fmt: skip


class SessionItem(Answer):
    """One browser."""

    model_config = ConfigDict(json_schema_extra={"examples": [_SESSION]})

    id: UUID
    browser: str
    user_agent: str
    address: str
    created_at: datetime
    last_seen_at: datetime
    awaits_factor: bool
    current: bool


class EndedAnswer(Answer):
    """How many sessions ended."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"ended": 3}]})

    ended: int


class ConnectionItem(Answer):
    """One account elsewhere."""

    model_config = ConfigDict(json_schema_extra={"examples": [_CONNECTION]})

    id: UUID
    issuer: str
    email: str
    created_at: datetime
    last_used_at: datetime | None


async def sessions(visit: Visit) -> ListPage[SessionItem]:
    """GET /api/account/sessions."""
    idle = timedelta(hours=visit.settings.portal.session_idle_hours)
    found = await list_sessions(visit.connection, own_session(visit), idle=idle)
    return ListPage(data=[SessionItem.model_validate(one) for one in found])


async def end(visit: Visit, session_id: UUID) -> None:
    """DELETE /api/account/sessions/{session_id}."""
    await end_one(visit.connection, own_session(visit), visit.actor, session_id)


async def end_all_others(visit: Visit) -> EndedAnswer:
    """DELETE /api/account/sessions."""
    return EndedAnswer(ended=await end_others(visit.connection, own_session(visit), visit.actor))


async def connections(visit: Visit) -> ListPage[ConnectionItem]:
    """GET /api/account/connections."""
    found = await list_connections(visit.connection, own_session(visit).user_id)
    return ListPage(data=[ConnectionItem.model_validate(one) for one in found])


async def remove(visit: Visit, connection_id: UUID) -> None:
    """DELETE /api/account/connections/{connection_id}."""
    await disconnect(visit.connection, visit.settings, own_session(visit), visit.actor, connection_id)


_OWN = Audience.SIGNED_IN
ENDPOINTS = (
    Endpoint("GET", "/account/sessions", sessions, "Where you are signed in", "account",
             answer=ListPage[SessionItem], audience=_OWN),
    Endpoint("DELETE", "/account/sessions", end_all_others, "Sign out all other browsers", "account",
             answer=EndedAnswer, audience=_OWN),
    Endpoint("DELETE", "/account/sessions/{session_id:uuid}", end, "Sign one browser out", "account", audience=_OWN),
    Endpoint("GET", "/account/connections", connections, "Accounts elsewhere that sign you in", "account",
             answer=ListPage[ConnectionItem], audience=_OWN,
             description="To connect one, use the page /account/connections: the other site asks you in your browser."),
    Endpoint("DELETE", "/account/connections/{connection_id:uuid}", remove, "Disconnect one", "account",
             audience=_OWN),
)  # fmt: skip
