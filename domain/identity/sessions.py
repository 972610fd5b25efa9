"""Browsers that are signed in to the portal. The cookie's token is stored as its SHA-256 only (cases A1 to A3).

A session ends when it was idle for too long, at its absolute end, when somebody signs it out, and with its user.
"""

from dataclasses import dataclass, fields
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from domain.operators import OPERATOR_ROLES, Right
from domain.random_tokens import NewToken, digest_of, new_token

USER_AGENT_LENGTH = 400
SEEN_EVERY = timedelta(minutes=1)
"""`last_seen_at` is written no more often."""
PORTAL, ADMIN = "portal", "admin"
"""The faces: a session is good on one of them."""


@dataclass(frozen=True, slots=True)
class Acting:
    """In whose place an operator's session is, whether it may change things there, and when it ends at the latest."""

    organization_id: UUID
    slug: str
    name: str
    state: str
    may_change: bool
    until: datetime


@dataclass(frozen=True, slots=True)
class Session:
    """A live session and the person that it belongs to. `awaits_factor`: the second factor is still missing.

    `acting`: the person is an operator, and this session is not their own but in the place of a customer.
    """

    id: UUID
    user_id: int
    email: str
    name: str
    email_verified: bool
    awaits_factor: bool
    created_at: datetime
    proven_at: datetime
    deletes_at: datetime | None
    theme: str
    time_zone: str
    acting: Acting | None = None


ACTING_ROLES, CHANGING_ROLES = (
    [role.value for role, rights in OPERATOR_ROLES.items() if right in rights]
    for right in (Right.SUPPORT, Right.CHANGE_AS_CUSTOMER)
)
"""Who may act as a customer, and who of them may change things. Looked at with each request: a lost role ends it."""
_OWN = tuple(field.name for field in fields(Session) if field.name != "acting")

_FIND = """
select s.id, s.user_id, u.email, trim(coalesce(u.first_name, '') || ' ' || coalesce(u.last_name, '')) as name,
       u.email_verified_at is not null as email_verified, s.awaits_factor, s.created_at, s.proven_at, u.deletes_at,
       coalesce(p.theme, 'system') as theme, coalesce(p.time_zone, 'UTC') as time_zone,
       o.id as organization_id, o.slug, o.name as organization_name, o.state,
       s.acting_may_change and u.operator_role = any($6) as may_change, s.expires_at,
       s.last_seen_at < now() - $3::interval as stale
  from portal_session s join users u on u.id = s.user_id and u.active
  left join organization o on o.id = s.acting_for and o.state <> 'closed' and u.operator_role = any($5)
  left join user_preference p on p.user_id = s.user_id
 where s.token_digest = $1 and s.expires_at > now() and s.last_seen_at > now() - $2::interval and s.face = $4
   and (s.acting_for is null or o.id is not null)
"""


async def find_session(
    connection: Any, token: str, *, idle: timedelta, address: str, user_agent: str, face: str = PORTAL
) -> Session | None:
    """The live session of a cookie's token on that face, noted as seen; None if there is none any more."""
    row = await connection.fetchrow(_FIND, digest_of(token), idle, SEEN_EVERY, face, ACTING_ROLES, CHANGING_ROLES)
    if row is None:
        return None
    if row["stale"]:
        await connection.execute(
            "update portal_session set last_seen_at = now(), address = $2, user_agent = $3 where id = $1",
            row["id"],
            address,
            user_agent[:USER_AGENT_LENGTH],
        )
    own = {name: row[name] for name in _OWN}
    return Session(**own, acting=_acting(row))


def _acting(row: Any) -> Acting | None:
    if row["organization_id"] is None:
        return None
    return Acting(
        organization_id=row["organization_id"],
        slug=row["slug"],
        name=row["organization_name"],
        state=row["state"],
        may_change=row["may_change"],
        until=row["expires_at"],
    )


async def begin_session(
    connection: Any,
    user_id: int,
    *,
    lasts: timedelta,
    address: str,
    user_agent: str,
    awaits_factor: bool = False,
    face: str = PORTAL,
) -> NewToken:
    """A new session with a new token, whatever the browser had before (A1)."""
    token = new_token()
    await connection.execute(
        "insert into portal_session (user_id, token_digest, awaits_factor, expires_at, address, user_agent, face)"
        " values ($1, $2, $3, now() + $4::interval, $5, $6, $7)",
        user_id,
        token.digest,
        awaits_factor,
        lasts,
        address,
        user_agent[:USER_AGENT_LENGTH],
        face,
    )
    return token


async def end_session(connection: Any, token: str) -> None:
    """End the session of this token, if there is one."""
    await connection.execute("delete from portal_session where token_digest = $1", digest_of(token))


async def end_sessions_of(connection: Any, user_id: int, *, but: UUID | None = None) -> int:
    """End all sessions of a user, or all but one. Returns how many ended."""
    status: str = await connection.execute(
        "delete from portal_session where user_id = $1 and ($2::uuid is null or id <> $2)", user_id, but
    )
    return int(status.rpartition(" ")[2])
