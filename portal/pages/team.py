"""The team: members and what they may do, invitations, and leaving."""

from dataclasses import dataclass
from typing import ClassVar
from uuid import UUID

from starlette.responses import Response

from domain.access import Permission
from domain.cursors import parse_cursor
from domain.faults import Fault
from domain.invitations import InvitationRecord, Post, invite, list_invitations, resend, withdraw
from domain.roles import INVITED, RoleInWords, givable, roles_in_words
from domain.team import TeamPage, list_members, remove_member
from portal.web.layout import Page
from portal.web.page import PageRoute, see_other
from portal.web.refusals import refusal_status
from portal.web.visit import Visit

PATH = "/o/{organization}/team"
_ROWS = 100


@dataclass(frozen=True, kw_only=True)
class MembersPage(Page):
    """`email` and `role` are what stands in the form: also what was refused."""

    template: ClassVar[str] = "team.html"
    root: str
    team: TeamPage
    first: bool
    may_manage: bool
    own_id: int
    own_role: str
    invitations: list[InvitationRecord]
    givable: tuple[str, ...]
    roles: tuple[RoleInWords, ...]
    email: str = ""
    role: str = "developer"


def post_of(visit: Visit) -> Post:
    """What invitations need to be mailed."""
    portal = visit.settings.portal
    return Post(visit.services.throttle, visit.settings.secrets, portal.base_url, portal.name)


def root_of(visit: Visit) -> str:
    """Where the pages of the team are."""
    return f"/o/{visit.access.slug}/team"


async def show(visit: Visit) -> Page:
    """Everybody, and whoever is invited."""
    return await _page(visit)


async def send(visit: Visit) -> Page | Response:
    """Invite somebody."""
    email, role = str(visit.form.get("email", "")), str(visit.form.get("role", ""))
    try:
        async with visit.change():
            await invite(visit.connection, visit.access, visit.actor, post_of(visit), email=email, role=role)
    except Fault as fault:
        return await _page(visit, error=str(fault), status=refusal_status(fault), email=email, role=role)
    return see_other(root_of(visit), done="invited")


async def send_again(visit: Visit, invitation_id: UUID) -> Page | Response:
    """Mail an invitation with a new link."""
    try:
        async with visit.change():
            await resend(visit.connection, visit.access, visit.actor, post_of(visit), invitation_id)
    except Fault as fault:
        return await _page(visit, error=str(fault), status=refusal_status(fault))
    return see_other(root_of(visit), done="invitation_sent_again")


async def take_back(visit: Visit, invitation_id: UUID) -> Response:
    """Withdraw an invitation."""
    await withdraw(visit.connection, visit.access, visit.actor, invitation_id)
    return see_other(root_of(visit), done="invitation_withdrawn")


async def leave(visit: Visit) -> Page | Response:
    """Leave the organization."""
    try:
        async with visit.change():
            await remove_member(visit.connection, visit.access, visit.actor, visit.access.user_id)
    except Fault as fault:
        return await _page(visit, error=str(fault), status=refusal_status(fault))
    return see_other("/organizations", done="organization_left")


async def _page(visit: Visit, *, error: str = "", status: int = 200, email: str = "", role: str = "") -> MembersPage:
    access = visit.access
    may_manage = access.may(Permission.MANAGE)
    after = parse_cursor(visit.request.query_params.get("cursor"))
    return MembersPage(
        title="Team",
        status=status,
        error=error,
        root=root_of(visit),
        team=await list_members(visit.connection, access, limit=_ROWS, after=after),
        first=after is None,
        may_manage=may_manage,
        own_id=access.user_id,
        own_role=access.role,
        invitations=(await list_invitations(visit.connection, access)).invitations if may_manage else [],
        givable=tuple(role for role in givable(access.role) if role in INVITED),
        roles=roles_in_words(),
        email=email,
        role=role or "developer",
    )


PAGES = (
    PageRoute(PATH, show, permission=Permission.VIEW),
    PageRoute(f"{PATH}/leave", leave, "POST", permission=Permission.VIEW),
    PageRoute(f"{PATH}/invitations", send, "POST", permission=Permission.MANAGE),
    PageRoute(f"{PATH}/invitations/{{invitation_id:uuid}}/resend", send_again, "POST", permission=Permission.MANAGE),
    PageRoute(f"{PATH}/invitations/{{invitation_id:uuid}}/withdraw", take_back, "POST", permission=Permission.MANAGE),
)
