"""The people of an organization: who they are, what they may do, how they leave. There is always an owner.

Every change holds the organization's row first, so changes of one team follow each other, and then asks again what the
actor is by now. So two owners who leave at once cannot both go, and who was demoted a moment ago can demote nobody.
"""

from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any
from uuid import UUID

from domain import audit
from domain.access import ROLES, Access, Permission
from domain.cursors import Cursor
from domain.faults import Conflict, Forbidden, NotFound
from domain.open_organizations import open_state
from domain.roles import require_givable
from domain.webhooks import announcing

_LARGEST_ID = 2**31 - 1
NO_MEMBER = "There is no such member."
_LAST_OWNER = "An organization has at least one owner. Make somebody else an owner first."
_LIST = """
select m.id, m.user_id, u.email, trim(coalesce(u.first_name, '') || ' ' || coalesce(u.last_name, '')) as name, m.role,
       m.created_at as since, case when $2 then greatest(
           (select max(s.last_seen_at) from portal_session s where s.user_id = m.user_id and not s.awaits_factor),
           u.last_login) end as last_seen_at
  from membership m join users u on u.id = m.user_id
 where m.organization_id = $1
"""
_PAGE = f"{_LIST} and ($3::timestamptz is null or (m.created_at, m.id) < ($3, $4)) order by m.created_at desc, m.id desc limit $5"
# The organization's row is held: what the statement sees of other owners stays so until the end of the transaction.
_OTHER_OWNER = "exists (select from membership o where o.organization_id = $1 and o.user_id <> $2 and o.role = 'owner')"


@dataclass(frozen=True, slots=True)
class Member:
    """One member. `last_seen_at` is None also for those who may not see it; `name` may be empty."""

    id: UUID
    user_id: int
    email: str
    name: str
    role: str
    since: datetime
    last_seen_at: datetime | None

    @property
    def thing(self) -> audit.Thing:
        """The member as the audit names it."""
        return audit.Thing("member", str(self.user_id), self.email)


@dataclass(frozen=True, slots=True)
class TeamPage:
    """Some members, the newest first; `older` is None on the last page."""

    members: list[Member]
    older: Cursor | None


async def list_members(connection: Any, access: Access, *, limit: int, after: Cursor | None = None) -> TeamPage:
    """The newest members, or those after a cursor."""
    access.require(Permission.VIEW)
    at, key = (after.at, after.id) if after else (None, None)
    rows = await connection.fetch(
        _PAGE, access.organization_id, access.may(Permission.MANAGE), at, key, limit + 1
    )  # fmt: skip
    members = [Member(**dict(row)) for row in rows[:limit]]
    last = members[-1] if len(rows) > limit else None
    return TeamPage(members, Cursor(last.since, last.id) if last else None)


async def fetch_member(connection: Any, access: Access, user_id: int) -> Member:
    """One member. Raises NotFound, also for users elsewhere."""
    access.require(Permission.VIEW)
    if not 0 < user_id <= _LARGEST_ID:
        raise NotFound(NO_MEMBER)
    row = await connection.fetchrow(
        f"{_LIST} and m.user_id = $3", access.organization_id, access.may(Permission.MANAGE), user_id
    )
    if row is None:
        raise NotFound(NO_MEMBER)
    return Member(**dict(row))


async def held(connection: Any, access: Access) -> Access:
    """The access as it is now, with the organization's row held until the transaction ends. Raises NotFound."""
    state = await open_state(connection, access.organization_id, alone=True)
    role = state and await connection.fetchval(
        "select role from membership where organization_id = $1 and user_id = $2",
        access.organization_id,
        access.user_id,
    )
    if not state or not role:
        raise NotFound("There is no such organization.")
    return replace(access, role=role, state=state)


async def change_role(connection: Any, access: Access, actor: audit.Actor, user_id: int, role: str) -> Member:
    """Give a member another role; the same is no change. Inside a transaction.

    The open invitations of who may no longer invite are taken back.
    Raises Forbidden (a role above one's own, given or taken), NotFound, InvalidValue, Conflict (the last owner).
    """
    access = await held(connection, access)
    access.require(Permission.MANAGE)
    require_givable(access.role, role)
    before = await fetch_member(connection, access, user_id)
    require_givable(access.role, before.role)
    if before.role == role:
        return before
    changed = await connection.fetchval(
        "update membership set role = $3 where organization_id = $1 and user_id = $2"
        f" and (role <> 'owner' or {_OTHER_OWNER}) returning id",
        access.organization_id,
        user_id,
        role,
    )
    if changed is None:
        raise Conflict(_LAST_OWNER)
    if Permission.MANAGE not in ROLES[role]:
        await take_back_invitations(connection, access.organization_id, user_id)
    await audit.record(
        connection,
        actor,
        audit.Verb.MEMBER_CHANGE_ROLE,
        before.thing,
        organization_id=access.organization_id,
        before={"role": before.role},
        after={"role": role},
    )
    return replace(before, role=role)


async def remove_member(connection: Any, access: Access, actor: audit.Actor, user_id: int) -> None:
    """Remove a member, or leave oneself, which every role may. Inside a transaction.

    Their access tokens here are revoked and their open invitations taken back; the organization's keys stay. Raises
    Forbidden, NotFound, Conflict (the last owner).
    """
    access = await held(connection, access)
    leaving = user_id == access.user_id
    if leaving and access.read_only:
        raise Forbidden("This access token may only read. Make one that may also write.")
    if not leaving:
        access.require(Permission.MANAGE)
    member = await fetch_member(connection, access, user_id)
    if not leaving:
        require_givable(access.role, member.role)
    removed = await connection.fetchval(
        "delete from membership where organization_id = $1 and user_id = $2"
        f" and (role <> 'owner' or {_OTHER_OWNER}) returning id",
        access.organization_id,
        user_id,
    )
    if removed is None:
        raise Conflict(_LAST_OWNER)
    await connection.execute(
        "update access_token set revoked_at = now() where organization_id = $1 and user_id = $2 and revoked_at is null",
        access.organization_id,
        user_id,
    )
    await take_back_invitations(connection, access.organization_id, user_id)
    await audit.record(
        connection,
        actor,
        audit.Verb.MEMBER_REMOVE,
        member.thing,
        organization_id=access.organization_id,
        before={"role": member.role},
        reason="left" if leaving else "",
    )
    await announcing.member_removed(
        connection, access.organization_id, user_id=user_id, email=member.email, role=member.role
    )


async def take_back_invitations(connection: Any, organization_id: UUID, user_id: int) -> None:
    """End the open invitations that a member sent: what they offered, they can give no more."""
    await connection.execute(
        "update invitation set withdrawn_at = now() where organization_id = $1 and invited_by = $2"
        " and accepted_at is null and withdrawn_at is null",
        organization_id,
        user_id,
    )


async def transfer_ownership(connection: Any, access: Access, actor: audit.Actor, user_id: int) -> Member:
    """Make another member the owner and oneself an admin, in one statement. Inside a transaction.

    Raises Forbidden, NotFound (no member), Conflict (to oneself).
    """
    access = await held(connection, access)
    access.require(Permission.OWN)
    if user_id == access.user_id:
        raise Conflict("You are an owner already. Choose another member.")
    before = await fetch_member(connection, access, user_id)
    await connection.execute(
        "update membership set role = case when user_id = $2 then 'owner' else 'admin' end"
        " where organization_id = $1 and user_id in ($2, $3)",
        access.organization_id,
        user_id,
        access.user_id,
    )
    await audit.record(
        connection,
        actor,
        audit.Verb.ORGANIZATION_TRANSFER,
        before.thing,
        organization_id=access.organization_id,
        before={"owner": actor.name, "role": before.role},
        after={"owner": before.email},
    )
    return replace(before, role="owner")
