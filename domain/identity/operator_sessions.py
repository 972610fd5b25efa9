"""Operators' sessions: the same as customers', good in the back office only, and only while their user has a role."""

from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from domain.identity.factors import has_factor
from domain.identity.sessions import ADMIN, Session, find_session
from domain.operators import Operator, OperatorRole
from domain.random_tokens import digest_of


@dataclass(frozen=True, slots=True)
class OperatorSession:
    """A live session of an operator. `has_factor`: a second factor is in force."""

    session: Session
    operator: Operator
    has_factor: bool


async def find_operator_session(
    connection: Any, token: str, *, idle: timedelta, address: str, user_agent: str
) -> OperatorSession | None:
    """The operator whose cookie this is; None without a live session, before its second step, and without a role."""
    session = await find_session(connection, token, idle=idle, address=address, user_agent=user_agent, face=ADMIN)
    if session is None or session.awaits_factor:
        return None
    role = await role_of(connection, session.user_id)
    if role is None:
        return None
    operator = Operator(session.user_id, session.email, session.name, role)
    return OperatorSession(session, operator, await has_factor(connection, session.user_id))


async def role_of(connection: Any, user_id: int) -> OperatorRole | None:
    """The active user's role in the back office; None for a customer."""
    role = await connection.fetchval("select operator_role from users where id = $1 and active", user_id)
    return OperatorRole(role) if role else None


async def operator_of_token(connection: Any, token: str) -> int | None:
    """The user id of the operator's live session; writes nothing. Of a session that `find_operator_session` just found."""
    user_id: int | None = await connection.fetchval(
        "select s.user_id from portal_session s join users u on u.id = s.user_id and u.active"
        " where s.token_digest = $1 and s.face = $2 and s.expires_at > now() and not s.awaits_factor"
        " and u.operator_role is not null",
        digest_of(token),
        ADMIN,
    )
    return user_id
