"""The browsers in which a person is signed in, and ending them."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from domain import audit
from domain.faults import NotFound
from domain.identity.browsers import browser_name
from domain.identity.sessions import Session, end_sessions_of

MOST_SHOWN = 200


@dataclass(frozen=True, slots=True)
class OwnSession:
    """One live session. `browser` is in plain words; `awaits_factor`: the password was right, the code is missing."""

    id: UUID
    browser: str
    user_agent: str
    address: str
    created_at: datetime
    last_seen_at: datetime
    awaits_factor: bool
    current: bool


async def list_sessions(connection: Any, session: Session, *, idle: timedelta) -> list[OwnSession]:
    """All of the person's live sessions: this one, then the one that was seen last."""
    rows = await connection.fetch(
        "select id, user_agent, address, created_at, last_seen_at, awaits_factor, id = $2 as current"
        " from portal_session where user_id = $1 and expires_at > now() and last_seen_at > now() - $3::interval"
        " order by id = $2 desc, last_seen_at desc, id limit $4",
        session.user_id,
        session.id,
        idle,
        MOST_SHOWN,
    )
    return [OwnSession(**dict(row), browser=browser_name(row["user_agent"])) for row in rows]


async def end_one(connection: Any, session: Session, actor: audit.Actor, session_id: UUID) -> None:
    """Sign one of the person's browsers out. Raises NotFound, also for another's."""
    ended = await connection.fetchrow(
        "delete from portal_session where id = $1 and user_id = $2 returning address, user_agent",
        session_id,
        session.user_id,
    )
    if ended is None:
        raise NotFound("There is no such session, or it has ended.")
    await audit.record(
        connection,
        actor,
        audit.Verb.ACCOUNT_END_SESSION,
        audit.Thing("session", str(session_id), browser_name(ended["user_agent"])),
        before={"address": ended["address"]},
    )


async def end_others(connection: Any, session: Session, actor: audit.Actor) -> int:
    """Sign every other browser out; how many there were."""
    ended = await end_sessions_of(connection, session.user_id, but=session.id)
    if ended:
        thing = audit.Thing("user", str(session.user_id), session.email)
        await audit.record(connection, actor, audit.Verb.ACCOUNT_END_SESSION, thing, after={"sessions_ended": ended})
    return ended
