"""Browsers that are signed in to the portal. The cookie's token is stored as its SHA-256 only (cases A1 to A3).

A session ends when it was idle for too long, at its absolute end, when somebody signs it out, and with its user.
"""

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from domain.random_tokens import NewToken, digest_of, new_token

USER_AGENT_LENGTH = 400
SEEN_EVERY = timedelta(minutes=1)
"""`last_seen_at` is written no more often."""
PORTAL, ADMIN = "portal", "admin"
"""The faces: a session is good on one of them."""


@dataclass(frozen=True, slots=True)
class Session:
    """A live session and the person that it belongs to. `awaits_factor`: the second factor is still missing."""

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


_FIND = """
select s.id, s.user_id, u.email, trim(coalesce(u.first_name, '') || ' ' || coalesce(u.last_name, '')) as name,
       u.email_verified_at is not null as email_verified, s.awaits_factor, s.created_at, s.proven_at, u.deletes_at,
       coalesce(p.theme, 'system') as theme, coalesce(p.time_zone, 'UTC') as time_zone,
       s.last_seen_at < now() - $3::interval as stale
  from portal_session s join users u on u.id = s.user_id and u.active
  left join user_preference p on p.user_id = s.user_id
 where s.token_digest = $1 and s.expires_at > now() and s.last_seen_at > now() - $2::interval and s.face = $4
"""


async def find_session(
    connection: Any, token: str, *, idle: timedelta, address: str, user_agent: str, face: str = PORTAL
) -> Session | None:
    """The live session of a cookie's token on that face, noted as seen; None if there is none any more."""
    row = await connection.fetchrow(_FIND, digest_of(token), idle, SEEN_EVERY, face)
    if row is None:
        return None
    values = dict(row)
    if values.pop("stale"):
        await connection.execute(
            "update portal_session set last_seen_at = now(), address = $2, user_agent = $3 where id = $1",
            row["id"],
            address,
            user_agent[:USER_AGENT_LENGTH],
        )
    return Session(**values)


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
