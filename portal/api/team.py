"""The team of the organization that a call is about."""

from datetime import datetime
from typing import Annotated, Literal

from pydantic import ConfigDict, Field

from domain.access import Permission
from domain.cursors import parse_cursor
from domain.identity.proof import require_fresh
from domain.team import Member, change_role, list_members, remove_member, transfer_ownership
from portal.api.endpoint import Endpoint
from portal.api.models import Answer, Body, ListPage, PageQuery
from portal.web.visit import Visit

Role = Literal["owner", "admin", "developer", "billing", "viewer"]
UserId = Annotated[int, Field(ge=1, le=2**31 - 1)]


class MemberAnswer(Answer):
    """A member. `last_seen_at` is null for callers who may not see it."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "user_id": 12, "email": "ada@example.com", "name": "Ada", "role": "developer",
                    "since": "2026-11-26T10:00:00Z", "last_seen_at": "2026-11-26T11:30:00Z",
                }
            ]
        }
    )  # fmt: skip

    user_id: int
    email: str
    name: str
    role: str
    since: datetime
    last_seen_at: datetime | None


class RoleChange(Body):
    """The role that a member gets."""

    model_config = ConfigDict(extra="forbid", json_schema_extra={"examples": [{"role": "viewer"}]})

    role: Role


class Transfer(Body):
    """The member who becomes the owner."""

    model_config = ConfigDict(extra="forbid", json_schema_extra={"examples": [{"user_id": 12}]})

    user_id: UserId


async def show(visit: Visit, query: PageQuery) -> ListPage[MemberAnswer]:
    """GET /api/team."""
    page = await list_members(
        visit.connection, visit.access, limit=query.limit, after=parse_cursor(query.cursor)
    )  # fmt: skip
    return ListPage[MemberAnswer](
        data=[_answer(member) for member in page.members], next_cursor=str(page.older) if page.older else None
    )


async def change(visit: Visit, user_id: int, body: RoleChange) -> MemberAnswer:
    """PATCH /api/team/{user_id}. To make an owner is as grave as to hand over."""
    if body.role == "owner":
        require_fresh(visit.person, visit.settings.portal)
    return _answer(await change_role(visit.connection, visit.access, visit.actor, user_id, body.role))


async def remove(visit: Visit, user_id: int) -> None:
    """DELETE /api/team/{user_id}."""
    await remove_member(visit.connection, visit.access, visit.actor, user_id)


async def transfer(visit: Visit, body: Transfer) -> MemberAnswer:
    """POST /api/team/transfer."""
    require_fresh(visit.person, visit.settings.portal)
    return _answer(await transfer_ownership(visit.connection, visit.access, visit.actor, body.user_id))


def _answer(member: Member) -> MemberAnswer:
    return MemberAnswer.model_validate(member)


ENDPOINTS = (
    Endpoint(
        "GET",
        "/team",
        show,
        "List members, newest first",
        "team",
        answer=ListPage[MemberAnswer],
        query=PageQuery,
        permission=Permission.VIEW,
    ),
    Endpoint(
        "PATCH",
        "/team/{user_id:int}",
        change,
        "Change a member's role",
        "team",
        answer=MemberAnswer,
        body=RoleChange,
        permission=Permission.MANAGE,
        description="Nobody gives or takes a role above their own. The last owner stays one. To make an owner needs a fresh proof.",
    ),
    Endpoint(
        "DELETE",
        "/team/{user_id:int}",
        remove,
        "Remove a member, or leave",
        "team",
        permission=Permission.VIEW,
        description="With one's own id every role may leave; the last owner may not.",
    ),
    Endpoint(
        "POST",
        "/team/transfer",
        transfer,
        "Hand the organization to another member",
        "team",
        answer=MemberAnswer,
        body=Transfer,
        permission=Permission.OWN,
        description="The caller becomes an admin. Needs a fresh proof.",
    ),
)
