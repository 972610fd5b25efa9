"""One person as operators look at them: what they belong to, how they sign in, where they are signed in."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from domain.faults import NotFound

_MOST = 50


@dataclass(frozen=True, slots=True)
class PersonRecord:
    """A user. `operator_role` is None for a customer."""

    id: int
    email: str
    name: str
    active: bool
    created_at: datetime
    last_login: datetime | None
    email_verified_at: datetime | None
    deletes_at: datetime | None
    operator_role: str | None
    has_factor: bool
    has_password: bool


@dataclass(frozen=True, slots=True)
class Place:
    """An organization that they belong to."""

    slug: str
    name: str
    state: str
    role: str


@dataclass(frozen=True, slots=True)
class SessionRecord:
    """A browser that is signed in. `face` is portal or admin; `acting_for` the customer that an operator acts as."""

    id: UUID
    face: str
    created_at: datetime
    last_seen_at: datetime
    expires_at: datetime
    address: str
    user_agent: str
    acting_for: str | None


_PERSON = """
select u.id, u.email, trim(coalesce(u.first_name, '') || ' ' || coalesce(u.last_name, '')) as name, u.active,
       u.created_at, u.last_login, u.email_verified_at, u.deletes_at, u.operator_role,
       exists (select from totp_factor f where f.user_id = u.id and f.confirmed_at is not null) as has_factor,
       u.password <> '$argon2-none' as has_password
  from users u where u.id = $1
"""
_PLACES = """
select o.slug, o.name, o.state, m.role from membership m join organization o on o.id = m.organization_id
 where m.user_id = $1 order by lower(o.name), o.slug limit $2
"""
_SESSIONS = """
select s.id, s.face, s.created_at, s.last_seen_at, s.expires_at, s.address, s.user_agent, o.slug as acting_for
  from portal_session s left join organization o on o.id = s.acting_for
 where s.user_id = $1 and s.expires_at > now() and not s.awaits_factor order by s.last_seen_at desc limit $2
"""


async def fetch_person(connection: Any, user_id: int) -> PersonRecord:
    """One person by id. Raises NotFound."""
    row = await connection.fetchrow(_PERSON, user_id) if 0 < user_id < 2**31 else None
    if row is None:
        raise NotFound("There is no such person.")
    return PersonRecord(**dict(row))


async def places_of(connection: Any, user_id: int) -> list[Place]:
    """Their organizations by name."""
    return [Place(**dict(row)) for row in await connection.fetch(_PLACES, user_id, _MOST)]


async def sessions_of(connection: Any, user_id: int) -> list[SessionRecord]:
    """Their live sessions, the latest first."""
    return [SessionRecord(**dict(row)) for row in await connection.fetch(_SESSIONS, user_id, _MOST)]
