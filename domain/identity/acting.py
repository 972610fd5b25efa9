"""An operator in the place of a customer: how it begins, what it may see, how it ends.

It is a session of the portal that names the organization. It lasts for the time that was asked for and is never extended;
each request looks again whether the operator still has the right (`sessions.find_session`).
"""

from dataclasses import dataclass
from datetime import timedelta
from typing import Any
from uuid import UUID

from domain import audit
from domain.access import Access
from domain.audit import Actor, Thing, Verb
from domain.faults import Forbidden
from domain.identity.acting_links import ActingLink
from domain.identity.sessions import ACTING_ROLES, ADMIN, CHANGING_ROLES, USER_AGENT_LENGTH, Session
from domain.random_tokens import NewToken, new_token

ROLE = "admin"
"""As what an operator acts: it sees all that an owner sees, and may not hand over or close what is somebody else's."""


@dataclass(frozen=True, slots=True)
class Offer:
    """Whom a link concerns: the operator, and the organization to act as."""

    operator_id: int
    operator_email: str
    operator_name: str
    organization_id: UUID
    slug: str
    organization_name: str
    may_change: bool
    minutes: int

    @property
    def thing(self) -> Thing:
        """The organization, for the audit."""
        return Thing("organization", str(self.organization_id), self.organization_name)


_OFFER = """
select u.id as operator_id, u.email as operator_email,
       trim(coalesce(u.first_name, '') || ' ' || coalesce(u.last_name, '')) as operator_name,
       o.id as organization_id, o.slug, o.name as organization_name
  from users u, organization o
 where u.id = $1 and u.active and u.operator_role = any($3) and o.id = $2 and o.state <> 'closed'
   and exists (select from portal_session s where s.id = $4 and s.user_id = u.id and s.face = $5 and s.expires_at > now())
"""


async def read_offer(connection: Any, link: ActingLink, *, most_minutes: int) -> Offer:
    """Whom the link concerns now. Raises Forbidden for who lost the right or was signed out since, and for a closed organization."""
    roles = CHANGING_ROLES if link.may_change else ACTING_ROLES
    row = await connection.fetchrow(_OFFER, link.operator_id, link.organization_id, roles, link.session_id, ADMIN)
    if row is None:
        raise Forbidden("This operator may not act as this organization any more.")
    return Offer(**dict(row), may_change=link.may_change, minutes=min(link.minutes, most_minutes))


async def begin_acting(
    connection: Any, offer: Offer, *, reason: str, address: str, user_agent: str, request_id: str
) -> NewToken:
    """A session of the portal in the place of the organization. What the operator acted as before ends."""
    actor = Actor("operator", offer.operator_id, offer.operator_email, address, request_id)
    await end_acting_of(connection, offer.operator_id, actor, why="began to act anew")
    token = new_token()
    until = await connection.fetchval(
        "insert into portal_session (user_id, token_digest, expires_at, address, user_agent, acting_for, acting_may_change)"
        " values ($1, $2, now() + $3::interval, $4, $5, $6, $7) returning expires_at",
        offer.operator_id,
        token.digest,
        timedelta(minutes=offer.minutes),
        address,
        user_agent[:USER_AGENT_LENGTH],
        offer.organization_id,
        offer.may_change,
    )
    after = {"until": until, "may_change": offer.may_change}
    await audit.record(
        connection,
        actor,
        Verb.OPERATOR_ACT_BEGIN,
        offer.thing,
        organization_id=offer.organization_id,
        after=after,
        reason=reason,
    )
    return token


async def end_acting_of(connection: Any, operator_id: int, actor: Actor, *, why: str) -> int:
    """End all that an operator acts as; how many there were. Each is noted for its organization."""
    ended = await connection.fetch(
        "with ended as (delete from portal_session where user_id = $1 and acting_for is not null returning acting_for,"
        " expires_at) select o.id, o.name, e.expires_at > now() as lived from ended e join organization o on o.id = e.acting_for",
        operator_id,
    )
    for row in ended:
        if row["lived"]:
            await _note_end(connection, actor, row["id"], row["name"], why)
    return len(ended)


async def end_acting(connection: Any, session: Session, actor: Actor, *, why: str = "stopped") -> None:
    """End this session of an operator who acts as a customer."""
    acting = session.acting
    if acting is None:
        return
    await connection.execute("delete from portal_session where id = $1", session.id)
    await _note_end(connection, actor, acting.organization_id, acting.name, why)


def acting_access(session: Session) -> Access | None:
    """The one organization that the session sees; None for a session that is a person's own."""
    acting = session.acting
    if acting is None:
        return None
    return Access(
        organization_id=acting.organization_id,
        slug=acting.slug,
        name=acting.name,
        state=acting.state,
        user_id=session.user_id,
        role=ROLE,
        read_only=not acting.may_change,
        acting=True,
    )


async def _note_end(connection: Any, actor: Actor, organization_id: UUID, name: str, why: str) -> None:
    thing = Thing("organization", str(organization_id), name)
    await audit.record(
        connection, actor, Verb.OPERATOR_ACT_END, thing, organization_id=organization_id, after={"why": why}
    )
