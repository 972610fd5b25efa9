"""Authenticators (RFC 6238): a secret that the user's app and we know, sealed at rest, each time step taken once."""

import hmac
import io
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any
from urllib.parse import quote

import pyotp
import segno

from domain import audit
from domain.faults import Conflict, InvalidValue
from domain.identity.recovery_codes import forget_codes, make_codes
from domain.identity.sessions import Session, end_sessions_of
from domain.outbox import post_mail
from domain.portal_settings import SecretSettings
from domain.sealing import seal, unseal

PURPOSE = "totp"
STEP_SECONDS = 30
DIGITS = 6
AROUND = 1
"""Steps before and after the present one that are taken too: clocks differ."""


@dataclass(frozen=True, slots=True, repr=False)
class NewFactor:
    """A secret to be given to an authenticator: as text, as a link, as a QR code in SVG."""

    secret: str
    uri: str
    qr: str

    def __repr__(self) -> str:
        return "NewFactor(...)"


async def begin_factor(
    connection: Any, settings: SecretSettings, user_id: int, email: str, product: str, actor: audit.Actor
) -> NewFactor:
    """A new secret, not in force before its first code is shown; an earlier one that was never confirmed is forgotten.

    Raises Conflict while a factor is in force.
    """
    secret = pyotp.random_base32()
    sealed = seal(settings, secret.encode(), purpose=PURPOSE, owner=str(user_id))
    made = await connection.fetchval(
        "insert into totp_factor as f (user_id, secret) values ($1, $2) on conflict (user_id) do update"
        " set secret = excluded.secret, created_at = now(), last_step = 0 where f.confirmed_at is null returning true",
        user_id,
        sealed,
    )
    if not made:
        raise Conflict("An authenticator is in force already. Switch it off first.")
    await audit.record(connection, actor, audit.Verb.ACCOUNT_BEGIN_FACTOR, _thing(user_id, actor))
    return new_factor(secret, email, product)


async def pending_factor(
    connection: Any, settings: SecretSettings, user_id: int, email: str, product: str
) -> NewFactor | None:
    """The secret that waits for its first code; None if there is none. Raises domain.sealing.Unreadable."""
    sealed = await connection.fetchval(
        "select secret from totp_factor where user_id = $1 and confirmed_at is null", user_id
    )
    if sealed is None:
        return None
    return new_factor(unseal(settings, sealed, purpose=PURPOSE, owner=str(user_id)).decode(), email, product)


def new_factor(secret: str, email: str, product: str) -> NewFactor:
    """What is shown of a secret."""
    issuer = quote(product, safe="")
    uri = f"otpauth://totp/{issuer}:{quote(email, safe='@')}?secret={secret}&issuer={issuer}"
    out = io.BytesIO()
    segno.make(uri, error="m").save(out, kind="svg", xmldecl=False, svgns=False, omitsize=True, svgclass="qr")
    return NewFactor(secret, uri, out.getvalue().decode())


async def confirm_factor(
    connection: Any, settings: SecretSettings, session: Session, actor: audit.Actor, code: str
) -> list[str]:
    """Put the new factor in force by its first code; the recovery codes, shown this once.

    All other sessions end, as they began without it, and a mail tells of it.
    Raises Conflict without a factor that waits, InvalidValue for a wrong code.
    """
    user_id = session.user_id
    sealed = await connection.fetchval(
        "select secret from totp_factor where user_id = $1 and confirmed_at is null", user_id
    )
    if sealed is None:
        raise Conflict("There is no authenticator that waits for its first code. Begin again.")
    step = _step_of(settings, sealed, user_id, code)
    confirmed = step is not None and await connection.fetchval(
        "update totp_factor set confirmed_at = now(), last_step = $2 where user_id = $1 and confirmed_at is null"
        " and secret = $3 returning true",
        user_id,
        step,
        sealed,
    )
    if not confirmed:
        raise InvalidValue("This code does not fit. Is the clock of your device right? Try the next code.")
    ended = {"sessions_ended": await end_sessions_of(connection, user_id, but=session.id)}
    await audit.record(connection, actor, audit.Verb.ACCOUNT_ENABLE_FACTOR, _thing(user_id, actor), after=ended)
    values = {"email": session.email, "address": actor.address}
    await post_mail(connection, settings, template="factor_on", to=session.email, values=values)
    return await make_codes(connection, user_id)


async def take_code(connection: Any, settings: SecretSettings, user_id: int, code: str) -> bool:
    """Whether this is a code of the factor in force that nobody used: of two at once, one gets it."""
    sealed = await connection.fetchval(
        "select secret from totp_factor where user_id = $1 and confirmed_at is not null", user_id
    )
    step = _step_of(settings, sealed, user_id, code) if sealed is not None else None
    if step is None:
        return False
    taken = await connection.fetchval(
        "update totp_factor set last_step = $2 where user_id = $1 and confirmed_at is not null and last_step < $2"
        " and secret = $3 returning true",
        user_id,
        step,
        sealed,
    )
    return bool(taken)


async def disable_factor(connection: Any, settings: SecretSettings, user_id: int, actor: audit.Actor) -> None:
    """Remove the factor and its recovery codes, and tell the user by mail. Raises Conflict without one in force."""
    removed = await connection.fetchval(
        "delete from totp_factor where user_id = $1 and confirmed_at is not null returning true", user_id
    )
    if not removed:
        raise Conflict("No authenticator is in force.")
    await forget_codes(connection, user_id)
    await audit.record(connection, actor, audit.Verb.ACCOUNT_DISABLE_FACTOR, _thing(user_id, actor))
    values = {"email": actor.name, "address": actor.address}
    await post_mail(connection, settings, template="factor_off", to=actor.name, values=values)


async def renew_codes(connection: Any, user_id: int, actor: audit.Actor) -> list[str]:
    """New recovery codes, shown this once, in the place of the old ones. Raises Conflict without a factor in force."""
    held = await connection.fetchval(
        "select true from totp_factor where user_id = $1 and confirmed_at is not null for update", user_id
    )
    if not held:
        raise Conflict("No authenticator is in force.")
    codes = await make_codes(connection, user_id)
    await audit.record(connection, actor, audit.Verb.ACCOUNT_RENEW_RECOVERY_CODES, _thing(user_id, actor))
    return codes


def _step_of(settings: SecretSettings, sealed: bytes, user_id: int, code: str) -> int | None:
    """The time step that the code is of, near the present one; None if it is of none."""
    given = "".join(code.split()).encode("utf-8", "replace")
    secret = unseal(settings, sealed, purpose=PURPOSE, owner=str(user_id)).decode()
    totp = pyotp.TOTP(secret, digits=DIGITS, interval=STEP_SECONDS)
    now = int(datetime.now(UTC).timestamp()) // STEP_SECONDS
    found = None
    for step in range(now - AROUND, now + AROUND + 1):
        if hmac.compare_digest(totp.generate_otp(step).encode(), given):
            found = step
    return found


def _thing(user_id: int, actor: audit.Actor) -> audit.Thing:
    return audit.Thing("user", str(user_id), actor.name)
