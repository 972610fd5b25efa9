"""The second step of a sign-in: a session that waits for its factor, and the code that completes it."""

from dataclasses import dataclass
from typing import Any
from uuid import UUID

from domain import audit
from domain.faults import NotSignedIn
from domain.identity.devices import device_of
from domain.identity.factor_codes import use_factor_code
from domain.identity.proof import WRONG_CODE, WrongProof
from domain.identity.sessions import PORTAL
from domain.identity.throttle import Throttle
from domain.portal_settings import SecretSettings
from domain.random_tokens import digest_of

SESSION_RULE, ACCOUNT_RULE = "factor_session", "factor"


@dataclass(frozen=True, slots=True)
class Waiting:
    """A session whose second factor is missing."""

    id: UUID
    user_id: int
    email: str


class SpentSession(NotSignedIn):
    """Too many wrong codes in one sign-in."""

    code = "too_many_codes"

    def __init__(self) -> None:
        super().__init__("Too many wrong codes. Sign in again.")


async def waiting_session(connection: Any, token: str, face: str = PORTAL) -> Waiting:
    """The session of a cookie's token that waits for its factor. Raises NotSignedIn."""
    row = await connection.fetchrow(
        "select s.id, s.user_id, u.email from portal_session s join users u on u.id = s.user_id and u.active"
        " where s.token_digest = $1 and s.awaits_factor and s.expires_at > now() and s.face = $2",
        digest_of(token),
        face,
    )
    if row is None:
        raise NotSignedIn("Sign in first: nothing waits for a code in this browser, or it took too long.")
    return Waiting(**dict(row))


async def check_second_step(
    connection: Any,
    throttle: Throttle,
    settings: SecretSettings,
    waiting: Waiting,
    code: str,
    *,
    device_cookie: str,
    actor: audit.Actor,
) -> str:
    """What the code is: totp or recovery_code. It is used up by this.

    Tries are counted for the session, and for the account: a browser that signed in before, as `device_cookie` says, has its
    own count, so that strangers use up only theirs (A6). Raises WrongProof; TooManyTries; SpentSession after the session's
    last try, upon which the caller ends it.
    """
    counted_as = f"{waiting.user_id}:{device_of(settings, device_cookie, waiting.user_id) or '-'}"
    if not await throttle.allows(SESSION_RULE, str(waiting.id)):
        raise SpentSession
    await throttle.take(ACCOUNT_RULE, counted_as, "Too many wrong codes for this account.")
    actor = audit.Actor("user", waiting.user_id, waiting.email, actor.address, actor.request_id)
    kind = await use_factor_code(connection, settings, waiting.user_id, actor, code)
    if kind is None:
        raise WrongProof(WRONG_CODE)
    await throttle.give_back(ACCOUNT_RULE, counted_as)
    return kind


async def end_waiting(connection: Any, waiting: Waiting) -> None:
    """It has had its tries: whoever it is, signs in anew."""
    await connection.execute("delete from portal_session where id = $1", waiting.id)
