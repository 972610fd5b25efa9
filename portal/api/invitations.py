"""Invitations to the organization that a call is about, and accepting one."""

from datetime import datetime
from typing import Annotated, Literal
from uuid import UUID

from pydantic import ConfigDict, Field

from domain.access import Permission
from domain.cursors import parse_cursor
from domain.faults import Forbidden
from domain.invitations import (
    EMAIL_PATTERN,
    LONGEST_EMAIL,
    InvitationRecord,
    Post,
    accept,
    invite,
    list_invitations,
    resend,
    withdraw,
)
from portal.api.endpoint import Endpoint
from portal.api.models import Answer, Body, ListPage, PageQuery
from portal.web.admission import Audience
from portal.web.visit import Visit


class InvitationAnswer(Answer):
    """An open invitation. Its link is in the mail alone."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "id": "7e0c3b0e-2f86-4a55-9a55-8f2a5a1f0c11", "email": "ada@example.com", "role": "developer",
                    "created_at": "2026-11-26T10:00:00Z", "expires_at": "2026-12-03T10:00:00Z",
                    "invited_by": "grace@example.com",
                }
            ]
        }
    )  # fmt: skip

    id: UUID
    email: str
    role: str
    created_at: datetime
    expires_at: datetime
    invited_by: str


class NewInvitation(Body):
    """Whom to invite, as what."""

    model_config = ConfigDict(
        extra="forbid", json_schema_extra={"examples": [{"email": "ada@example.com", "role": "developer"}]}
    )

    email: Annotated[str, Field(pattern=EMAIL_PATTERN, max_length=LONGEST_EMAIL)]
    role: Literal["admin", "developer", "billing", "viewer"]


class Acceptance(Body):
    """The token of the mailed link."""

    model_config = ConfigDict(
        extra="forbid", json_schema_extra={"examples": [{"token": "k1mCkVxnP2T0Xr5o3Yw9uQ7sJ4hB6eLdA8fZcGvNtRi"}]}
    )

    token: Annotated[str, Field(min_length=1, max_length=200)]


class Joined(Answer):
    """The organization that was joined."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"organization": "acme", "role": "developer"}]})

    organization: str
    role: str


async def show(visit: Visit, query: PageQuery) -> ListPage[InvitationAnswer]:
    """GET /api/team/invitations."""
    page = await list_invitations(
        visit.connection, visit.access, limit=query.limit, after=parse_cursor(query.cursor)
    )  # fmt: skip
    return ListPage[InvitationAnswer](
        data=[_answer(one) for one in page.invitations], next_cursor=str(page.older) if page.older else None
    )


async def create(visit: Visit, body: NewInvitation) -> InvitationAnswer:
    """POST /api/team/invitations."""
    made = await invite(
        visit.connection, visit.access, visit.actor, _post(visit), email=body.email, role=body.role
    )  # fmt: skip
    return _answer(made)


async def send_again(visit: Visit, invitation_id: UUID) -> InvitationAnswer:
    """POST /api/team/invitations/{invitation_id}/resend."""
    return _answer(await resend(visit.connection, visit.access, visit.actor, _post(visit), invitation_id))


async def remove(visit: Visit, invitation_id: UUID) -> None:
    """DELETE /api/team/invitations/{invitation_id}."""
    await withdraw(visit.connection, visit.access, visit.actor, invitation_id)


async def join(visit: Visit, body: Acceptance) -> Joined:
    """POST /api/team/invitations/accept. An access token is for one organization, so it joins no other."""
    person = visit.person
    if visit.token_name:
        raise Forbidden("An access token cannot accept an invitation. Do it signed in, in a browser.")
    offer = await accept(
        visit.connection, body.token, user_id=person.user_id, email=person.email, actor=visit.actor
    )  # fmt: skip
    return Joined(organization=offer.slug, role=offer.role)


def _post(visit: Visit) -> Post:
    portal = visit.settings.portal
    return Post(visit.services.throttle, visit.settings.secrets, portal.base_url, portal.name)


def _answer(record: InvitationRecord) -> InvitationAnswer:
    return InvitationAnswer.model_validate(record)


ENDPOINTS = (
    Endpoint(
        "GET",
        "/team/invitations",
        show,
        "List open invitations, newest first",
        "team",
        answer=ListPage[InvitationAnswer],
        query=PageQuery,
        permission=Permission.MANAGE,
    ),
    Endpoint(
        "POST",
        "/team/invitations",
        create,
        "Invite somebody by mail",
        "team",
        answer=InvitationAnswer,
        body=NewInvitation,
        permission=Permission.MANAGE,
        status=201,
        creates=True,
        description="The link works for 7 days. At most 50 are open, and 20 are mailed in an hour.",
        also=(429,),
    ),
    Endpoint(
        "POST",
        "/team/invitations/accept",
        join,
        "Accept an invitation",
        "team",
        answer=Joined,
        body=Acceptance,
        audience=Audience.SIGNED_IN,
        also=(404,),
        description="As the user with the address that it was sent to, which counts as verified from then on.",
    ),
    Endpoint(
        "POST",
        "/team/invitations/{invitation_id:uuid}/resend",
        send_again,
        "Mail an invitation again, with a new link",
        "team",
        answer=InvitationAnswer,
        permission=Permission.MANAGE,
        also=(429,),
    ),
    Endpoint(
        "DELETE",
        "/team/invitations/{invitation_id:uuid}",
        remove,
        "Take an invitation back",
        "team",
        permission=Permission.MANAGE,
    ),
)
