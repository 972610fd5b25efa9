"""Who operates the product: appointed, dismissed, signed out. There always is an active superuser.

All of it belongs into the caller's transaction. A change of role ends the operator's sessions in the back office and all
that they act as, and tells them by mail. Who is appointed is not deleted any more.
"""

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from domain import audit
from domain.audit import Actor, Thing, Verb
from domain.faults import Conflict
from domain.identity.acting import end_acting_of
from domain.identity.links import RESET, new_link
from domain.identity.sessions import ADMIN
from domain.operating.people import FIRST_LINK_LIVES, Person, create_person, fetch_person, find_person
from domain.operators import OperatorRole
from domain.outbox import post_mail
from domain.settings import Settings

MOST = 500
_LIST = """
select u.id, u.email, trim(coalesce(u.first_name, '') || ' ' || coalesce(u.last_name, '')) as name, u.operator_role as role,
       u.active, u.last_login,
       exists (select from totp_factor f where f.user_id = u.id and f.confirmed_at is not null) as has_factor,
       (select count(*) from portal_session s where s.user_id = u.id and s.face = 'admin' and s.expires_at > now()
           and not s.awaits_factor) as sessions,
       (select string_agg(o.slug, ', ' order by o.slug) from portal_session s join organization o on o.id = s.acting_for
         where s.user_id = u.id and s.expires_at > now()) as acting_for
  from users u where u.operator_role is not null
 order by array_position(array['superuser', 'admin', 'support', 'finance', 'analyst'], u.operator_role), u.email limit $1
"""
_SUPERUSERS = """
select id from users where operator_role = 'superuser' and active order by id for update
"""
_CHANGE = """
update users set operator_role = $2, admin = $2::text is not null, superuser = $2::text is not distinct from 'superuser',
       deletes_at = case when $2::text is null then deletes_at end
 where id = $1 and operator_role is distinct from $2 returning true
"""


@dataclass(frozen=True, slots=True)
class OperatorRecord:
    """One operator. `sessions` are live ones in the back office; `acting_for` names whom they act as at this moment."""

    id: int
    email: str
    name: str
    role: str
    active: bool
    last_login: datetime | None
    has_factor: bool
    sessions: int
    acting_for: str | None


async def list_operators(connection: Any, *, most: int = MOST) -> list[OperatorRecord]:
    """All of them, the mightiest first."""
    return [OperatorRecord(**dict(row)) for row in await connection.fetch(_LIST, most)]


async def set_operator_role(
    connection: Any, settings: Settings, actor: Actor, *, email: str, role: OperatorRole | None, reason: str
) -> Person:
    """Give somebody a role, another one, or none; the person as they were before.

    Raises NotFound, InvalidValue; Conflict where nothing would change, for who cannot sign in yet, and for the last
    superuser.
    """
    superusers = await _hold_superusers(connection)
    person = await fetch_person(connection, email)
    if role is not None and not person.active and not person.waits:
        raise Conflict(f"The account of {person.email} is switched off.")
    if person.id in superusers and role is not OperatorRole.SUPERUSER and len(superusers) == 1:
        raise Conflict(f"{person.email} is the last superuser: appoint another one first.")
    if not await connection.fetchval(_CHANGE, person.id, role.value if role else None):
        is_now = f"has the role {role.value}" if role else "is no operator"
        raise Conflict(f"{person.email} {is_now} already.")
    ended = await _end_sessions(connection, actor, person.id)
    await audit.record(
        connection,
        actor,
        Verb.OPERATOR_APPOINT if role else Verb.OPERATOR_DISMISS,
        person.thing,
        before={"role": person.operator_role},
        after={"role": role.value if role else None, "sessions_ended": ended},
        reason=reason,
    )
    template = "operator_appointed" if role else "operator_dismissed"
    values = {"email": person.email, "role": role.value if role else "", "office_url": settings.admin.base_url}
    await post_mail(connection, settings.secrets, template=template, to=person.email, values=values)
    return person


async def create_operator(
    connection: Any, settings: Settings, actor: Actor, *, email: str, role: OperatorRole, reason: str
) -> str | None:
    """Appoint somebody, made first if there is no such user. A link that sets the first password for who has none yet."""
    person = await find_person(connection, email)
    if person is None:
        person = await create_person(connection, settings, actor, email=email, reason=reason)
    await set_operator_role(connection, settings, actor, email=person.email, role=role, reason=reason)
    if not person.waits:
        return None
    token = await new_link(connection, person.id, person.email, RESET, lives=FIRST_LINK_LIVES)
    return f"{settings.portal.base_url}/reset/{token}"


async def end_operator_sessions(connection: Any, actor: Actor, *, email: str, reason: str) -> int:
    """Sign an operator out of the back office, and end what they act as; how many sessions there were.

    Raises NotFound; Conflict where there is none.
    """
    person = await fetch_person(connection, email)
    ended = await _end_sessions(connection, actor, person.id)
    if not ended:
        raise Conflict(f"{person.email} is signed in to the back office nowhere.")
    await audit.record(
        connection,
        actor,
        Verb.OPERATOR_END_SESSIONS,
        Thing("user", str(person.id), person.email),
        after={"sessions_ended": ended},
        reason=reason,
    )
    return ended


async def _hold_superusers(connection: Any) -> set[int]:
    """Who they are. Until the transaction ends nobody else is appointed or dismissed, so what is read next stays true."""
    return {row["id"] for row in await connection.fetch(_SUPERUSERS)}


async def _end_sessions(connection: Any, actor: Actor, user_id: int) -> int:
    acting = await end_acting_of(connection, user_id, actor, why="the operator was signed out")
    status: str = await connection.execute(
        "delete from portal_session where user_id = $1 and face = $2", user_id, ADMIN
    )
    return acting + int(status.rpartition(" ")[2])
