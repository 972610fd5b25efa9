"""Grave changes need a proof that is fresh: a session alone may be a browser that was left open, or a stolen cookie."""

from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

from domain import audit
from domain.faults import Forbidden, ProofNeeded
from domain.identity.authenticators import take_code
from domain.identity.factor_codes import use_factor_code
from domain.identity.factors import has_factor
from domain.identity.sessions import Session
from domain.identity.throttle import Throttle
from domain.passwords import NO_PASSWORD, verify_password
from domain.portal_settings import PortalSettings, SecretSettings
from domain.random_tokens import NewToken, new_token

RULE = "proof"
LONGEST = 1_000
WRONG_CODE = "This code is wrong, or was used before. Wait for the next one, or use a recovery code."


class WrongProof(Forbidden):
    """The password or the code is not the right one."""

    code = "wrong_proof"


def is_fresh(session: Session, settings: PortalSettings) -> bool:
    """Whether the user proved who they are a short while ago."""
    return datetime.now(UTC) - session.proven_at < timedelta(minutes=settings.proof_minutes)


def require_fresh(session: Session, settings: PortalSettings) -> None:
    """Raise ProofNeeded, which says how to go on, unless the proof is fresh."""
    if not is_fresh(session, settings):
        raise ProofNeeded(
            "Prove again who you are: your password at /prove, or POST /api/account/proof, then repeat this."
        )


async def check_password(connection: Any, throttle: Throttle, user_id: int, password: str) -> None:
    """Raise WrongProof unless this is the user's password; TooManyTries for who guesses."""
    await throttle.take(RULE, str(user_id))
    stored = await connection.fetchval("select password from users where id = $1", user_id)
    async with throttle.hashing(known=True):
        right = await verify_password(stored or NO_PASSWORD, password[:LONGEST])
    if not right or len(password) > LONGEST:
        raise WrongProof("This is not your password.")
    await throttle.give_back(RULE, str(user_id))


async def check_code(connection: Any, throttle: Throttle, settings: SecretSettings, user_id: int, code: str) -> None:
    """Raise WrongProof unless this is the authenticator's code; TooManyTries for who guesses."""
    await throttle.take(RULE, str(user_id))
    if not await take_code(connection, settings, user_id, code):
        raise WrongProof("This code is wrong, or was used before. Wait for the next one.")
    await throttle.give_back(RULE, str(user_id))


async def _check_factor(
    connection: Any, throttle: Throttle, settings: SecretSettings, user_id: int, actor: audit.Actor, code: str
) -> None:
    if not code.strip():
        raise WrongProof("Your account has an authenticator: show its code as well, or a recovery code.")
    await throttle.take(RULE, str(user_id))
    if await use_factor_code(connection, settings, user_id, actor, code) is None:
        raise WrongProof(WRONG_CODE)
    await throttle.give_back(RULE, str(user_id))


async def prove(
    connection: Any,
    throttle: Throttle,
    settings: SecretSettings,
    session: Session,
    actor: audit.Actor,
    *,
    password: str,
    code: str,
) -> NewToken:
    """The session's new token for the right password, and where an authenticator is in force for a code as well.

    Who has no password shows the code alone; a recovery code does too, and is used up. Raises WrongProof, TooManyTries.
    """
    stored = await connection.fetchval("select password from users where id = $1", session.user_id)
    if stored != NO_PASSWORD:
        await check_password(connection, throttle, session.user_id, password)
    if stored == NO_PASSWORD or await has_factor(connection, session.user_id):
        await _check_factor(connection, throttle, settings, session.user_id, actor, code)
    return await renew(connection, session.id, actor)


async def renew(connection: Any, session_id: UUID, actor: audit.Actor) -> NewToken:
    """The session's new token, proven now; the old one opens nothing any more (A1)."""
    token = new_token()
    await connection.execute(
        "update portal_session set token_digest = $2, proven_at = now() where id = $1", session_id, token.digest
    )
    await audit.record(
        connection,
        actor,
        audit.Verb.ACCOUNT_RENEW_PROOF,
        audit.Thing("user", str(actor.id), actor.name),
    )
    return token
