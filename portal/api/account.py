"""The caller's own account."""

from datetime import datetime
from typing import Annotated, Any

from pydantic import ConfigDict, Field

from domain.identity.profiles import change_name, fetch_profile
from portal.api.endpoint import Endpoint
from portal.api.models import Answer, Body
from portal.web.admission import Audience
from portal.web.own import own_session
from portal.web.visit import Visit

_EXAMPLE: dict[str, Any] = {
    "email": "ada@example.com", "email_verified": True, "name": "Ada", "created_at": "2026-11-26T10:00:00Z",
    "deletes_at": None, "has_password": True, "pending_email": None, "factor_since": None, "recovery_codes_left": 0,
}  # fmt: skip


class AccountAnswer(Answer):
    """An account and the ways into it."""

    model_config = ConfigDict(json_schema_extra={"examples": [_EXAMPLE]})

    email: str
    email_verified: bool
    name: str
    created_at: datetime
    deletes_at: datetime | None = Field(description="The account is deleted then, unless it is kept.")
    has_password: bool
    pending_email: str | None = Field(description="A new address that waits for its link to be opened.")
    factor_since: datetime | None = Field(description="Since when an authenticator is in force.")
    recovery_codes_left: int


class AccountChange(Body):
    """What may be changed at once."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"name": "Ada Lovelace"}]})

    name: Annotated[str, Field(max_length=120, description="Empty: none.")]


async def show(visit: Visit) -> AccountAnswer:
    """GET /api/account."""
    return AccountAnswer.model_validate(await fetch_profile(visit.connection, own_session(visit).user_id))


async def change(visit: Visit, body: AccountChange) -> AccountAnswer:
    """PATCH /api/account."""
    await change_name(visit.connection, own_session(visit).user_id, visit.actor, body.name)
    return await show(visit)


ENDPOINTS = (
    Endpoint("GET", "/account", show, "Your account", "account", answer=AccountAnswer, audience=Audience.SIGNED_IN),
    Endpoint("PATCH", "/account", change, "Change your name", "account", body=AccountChange,
             answer=AccountAnswer, audience=Audience.SIGNED_IN),
)  # fmt: skip
