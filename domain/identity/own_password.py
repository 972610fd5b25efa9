"""A person changes their own password: the old one is asked for, and every other session ends (A2)."""

from typing import Any

from domain import audit
from domain.faults import Conflict
from domain.identity.factors import has_factor
from domain.identity.links import RESET, void
from domain.identity.new_passwords import require_good
from domain.identity.proof import check_password, renew, require_fresh
from domain.identity.sessions import Session, end_sessions_of
from domain.identity.throttle import Throttle
from domain.outbox import post_mail
from domain.passwords import NO_PASSWORD, hash_password
from domain.random_tokens import NewToken
from domain.settings import Settings


async def change_password(
    connection: Any,
    throttle: Throttle,
    settings: Settings,
    session: Session,
    actor: audit.Actor,
    *,
    old: str,
    new: str,
) -> NewToken:
    """The session's new token (A1); all other sessions and reset links end, and a mail tells of it.

    Who has no password yet sets one with a fresh proof alone; who has an authenticator needs one too. Raises WrongProof, TooManyTries, InvalidValue, Conflict
    if it was changed meanwhile, ProofNeeded.
    """
    before = await connection.fetchval("select password from users where id = $1", session.user_id)
    if before == NO_PASSWORD:
        require_fresh(session, settings.portal)
    else:
        if await has_factor(connection, session.user_id):
            require_fresh(session, settings.portal)
        await check_password(connection, throttle, session.user_id, old)
    require_good(new, email=session.email)
    changed = await connection.fetchval(
        "update users set password = $2 where id = $1 and password = $3 returning true",
        session.user_id,
        await hash_password(new),
        before,
    )
    if not changed:
        raise Conflict("The password was changed elsewhere meanwhile.")
    await void(connection, session.user_id, RESET)
    ended = await end_sessions_of(connection, session.user_id, but=session.id)
    thing = audit.Thing("user", str(session.user_id), session.email)
    await audit.record(connection, actor, audit.Verb.ACCOUNT_CHANGE_PASSWORD, thing, after={"sessions_ended": ended})
    values = {"email": session.email, "address": actor.address}
    await post_mail(connection, settings.secrets, template="own_password_changed", to=session.email, values=values)
    return await renew(connection, session.id, actor)
