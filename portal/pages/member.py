"""One member: what they may do, and the ways to change that."""

from dataclasses import dataclass
from typing import ClassVar

from starlette.responses import Response

from domain.access import Permission
from domain.faults import Fault
from domain.roles import RoleInWords, givable, roles_in_words
from domain.team import Member, change_role, fetch_member, remove_member, transfer_ownership
from portal.pages.team import PATH, root_of
from portal.web.layout import Page
from portal.web.own import fresh, to_proof
from portal.web.page import PageRoute, see_other
from portal.web.refusals import refusal_status
from portal.web.visit import Visit


@dataclass(frozen=True, kw_only=True)
class MemberPage(Page):
    """`givable` is empty where the role cannot be changed by who looks."""

    template: ClassVar[str] = "member.html"
    root: str
    member: Member
    givable: tuple[str, ...]
    may_remove: bool
    may_transfer: bool
    roles: tuple[RoleInWords, ...]


async def show(visit: Visit, user_id: int) -> Page:
    """One member as they are."""
    return await _page(visit, user_id)


async def change(visit: Visit, user_id: int) -> Page | Response:
    """Give them another role. To make an owner is as grave as to hand over."""
    role = str(visit.form.get("role", ""))
    if role == "owner" and not fresh(visit):
        return to_proof(f"{root_of(visit)}/{user_id}")
    try:
        async with visit.change():
            await change_role(visit.connection, visit.access, visit.actor, user_id, role)
    except Fault as fault:
        return await _page(visit, user_id, error=fault)
    return see_other(root_of(visit), done="role_changed")


async def remove(visit: Visit, user_id: int) -> Page | Response:
    """Remove them."""
    try:
        async with visit.change():
            await remove_member(visit.connection, visit.access, visit.actor, user_id)
    except Fault as fault:
        return await _page(visit, user_id, error=fault)
    if user_id == visit.access.user_id:
        return see_other("/organizations", done="organization_left")
    return see_other(root_of(visit), done="member_removed")


async def transfer(visit: Visit, user_id: int) -> Page | Response:
    """Make them the owner, by somebody who proved a short while ago who they are."""
    if not fresh(visit):
        return to_proof(f"{root_of(visit)}/{user_id}")
    try:
        async with visit.change():
            await transfer_ownership(visit.connection, visit.access, visit.actor, user_id)
    except Fault as fault:
        return await _page(visit, user_id, error=fault)
    return see_other(root_of(visit), done="ownership_transferred")


async def _page(visit: Visit, user_id: int, *, error: Fault | None = None) -> MemberPage:
    access = visit.access
    member = await fetch_member(visit.connection, access, user_id)
    mine = givable(access.role)
    changeable = member.role in mine
    return MemberPage(
        title=member.name or member.email,
        status=refusal_status(error) if error else 200,
        error=str(error or ""),
        root=root_of(visit),
        member=member,
        givable=mine if changeable else (),
        may_remove=changeable and member.user_id != access.user_id,
        may_transfer=access.may(Permission.OWN) and member.user_id != access.user_id,
        roles=roles_in_words(),
    )


ONE = f"{PATH}/{{user_id:int}}"
PAGES = (
    PageRoute(ONE, show, permission=Permission.VIEW),
    PageRoute(f"{ONE}/role", change, "POST", permission=Permission.MANAGE),
    PageRoute(f"{ONE}/remove", remove, "POST", permission=Permission.VIEW),
    PageRoute(f"{ONE}/transfer", transfer, "POST", permission=Permission.OWN),
)
