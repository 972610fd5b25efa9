"""The caller's access tokens."""

from datetime import datetime
from typing import Annotated, Any, Literal
from uuid import UUID

from pydantic import ConfigDict, Field

from domain.access import access_organization
from domain.identity.own_tokens import create_token, list_tokens, revoke_token
from portal.api.endpoint import Endpoint
from portal.api.models import Answer, Body, ListPage
from portal.web.admission import Audience
from portal.web.own import own_session
from portal.web.visit import Visit

_EXAMPLE: dict[str, Any] = {
    "id": "7e0c3b0e-2f86-4a55-9a55-8f2a5a1f0c11", "name": "nightly report", "organization": "acme", "last4": "x9Qz",
    "read_only": True, "created_at": "2026-11-26T10:00:00Z", "expires_at": "2027-02-24T10:00:00Z", "last_used_at": None,
    "expired": False,
}  # fmt: skip


class TokenItem(Answer):
    """What is known of a token after it was shown."""

    model_config = ConfigDict(json_schema_extra={"examples": [_EXAMPLE]})

    id: UUID
    name: str
    organization: str
    last4: str
    read_only: bool
    created_at: datetime
    expires_at: datetime | None
    last_used_at: datetime | None
    expired: bool


class CreatedTokenAnswer(TokenItem):
    """A new token. A repeat under the same Idempotency-Key has null for it."""

    model_config = ConfigDict(json_schema_extra={"examples": [{**_EXAMPLE, "token": "pe_pat_..."}]})

    token: str | None


class TokenBody(Body):
    """What the token shall be."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [{"name": "nightly report", "organization": "acme", "read_only": True, "days": 90}]
        }
    )

    name: Annotated[str, Field(min_length=1, max_length=120)]
    organization: Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9-]{0,62}$", description="Slug of one of yours.")]
    read_only: bool = True
    days: Annotated[Literal[30, 90, 365] | None, Field(description="Null: for ever.")] = 90


async def show(visit: Visit) -> ListPage[TokenItem]:
    """GET /api/account/tokens."""
    found = await list_tokens(visit.connection, own_session(visit).user_id)
    return ListPage(data=[TokenItem.model_validate(one) for one in found])


async def create(visit: Visit, body: TokenBody) -> CreatedTokenAnswer:
    """POST /api/account/tokens."""
    session = own_session(visit)
    access = await access_organization(visit.connection, session.user_id, body.organization)
    made = await create_token(
        visit.connection,
        visit.settings,
        session,
        visit.actor,
        access,
        name=body.name,
        read_only=body.read_only,
        days=body.days,
    )
    item = TokenItem.model_validate(made.record)
    return CreatedTokenAnswer(**item.model_dump(), token=made.text)


async def revoke(visit: Visit, token_id: UUID) -> None:
    """DELETE /api/account/tokens/{token_id}."""
    await revoke_token(visit.connection, own_session(visit), visit.actor, token_id)


_OWN = Audience.SIGNED_IN
ENDPOINTS = (
    Endpoint("GET", "/account/tokens", show, "Your access tokens", "account", answer=ListPage[TokenItem],
             audience=_OWN),
    Endpoint("POST", "/account/tokens", create, "Create an access token", "account", body=TokenBody,
             answer=CreatedTokenAnswer, audience=_OWN, status=201, creates=True, shown_once=("token",), also=(404,)),
    Endpoint("DELETE", "/account/tokens/{token_id:uuid}", revoke, "Revoke one", "account", audience=_OWN),
)  # fmt: skip
