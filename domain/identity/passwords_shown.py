"""Signing in with a password: who may try, whether it is right, and the same answer for every failure (cases A5, A6)."""

from dataclasses import dataclass
from typing import Any

from domain import audit
from domain.databases import Pool
from domain.faults import Fault, NotSignedIn
from domain.identity.addresses import network_of, valid_email
from domain.identity.devices import device_of
from domain.identity.new_passwords import LONGEST
from domain.identity.signing_up import ask_again
from domain.identity.throttle import Throttle
from domain.passwords import NO_PASSWORD, hash_password, needs_new_hash, verify_password
from domain.random_tokens import digest_of
from domain.settings import Settings
from schema.users import UNKNOWN_USER_HASH

TOO_MANY = "Too many wrong passwords. A new password by mail gets you in at once."


class WrongCredentials(NotSignedIn):
    """No sign-in with this address and password; nobody learns which of them is wrong."""

    code = "wrong_credentials"

    def __init__(self) -> None:
        super().__init__("The e-mail address or the password is wrong, or the address has not been confirmed yet.")


@dataclass(frozen=True, slots=True, repr=False)
class Shown:
    """What somebody shows at the door. `device` is the cookie of a browser that signed in before, or anything else."""

    email: str
    password: str
    device: str
    address: str
    request_id: str


_FIND = "select id, email, password, active, email_verified_at is not null as verified from users where email = $1"
_REHASH = "update users set password = $3 where id = $1 and password = $2"


async def check_shown(pool: Pool, throttle: Throttle, settings: Settings, shown: Shown) -> int:
    """The user whose address and password these are. Raises WrongCredentials, TooManyTries.

    No connection is held while the password is hashed: a storm of sign-ins takes none from other pages.
    """
    email = _address(shown.email)
    row = await pool.fetchrow(_FIND, email)
    nonce = device_of(settings.secrets, shown.device, row["id"]) if row else None
    counted = await _count(throttle, email, shown.address, f"{row['id']}:{nonce}" if row and nonce else "")
    # Who only signs in elsewhere has no hash: comparing would end at once, and so tell.
    has_password = row is not None and row["password"] != NO_PASSWORD
    stored = row["password"] if row is not None and has_password else UNKNOWN_USER_HASH
    async with throttle.hashing(known=counted[0][0] == "device"):
        right = await verify_password(stored, shown.password[:LONGEST]) and len(shown.password) <= LONGEST
    if row is not None and has_password and right and row["active"]:
        if needs_new_hash(stored):
            await pool.execute(_REHASH, row["id"], stored, await hash_password(shown.password))
        for rule, who in counted:
            await throttle.give_back(rule, who)
        return int(row["id"])
    if row is not None:
        await _note_failure(pool, throttle, settings, row, shown, right=right and has_password)
    raise WrongCredentials


async def _count(throttle: Throttle, email: str, address: str, device: str) -> list[tuple[str, str]]:
    """Count the try where it belongs and return where that was. Raises TooManyTries."""
    if device and await throttle.allows("device", device):
        return [("device", device)]
    counted = [("network", network_of(address)), ("account", digest_of(email).hex())]
    for rule, who in counted:
        await throttle.take(rule, who, TOO_MANY)
    return counted


async def _note_failure(
    pool: Pool, throttle: Throttle, settings: Settings, row: Any, shown: Shown, *, right: bool
) -> None:
    async with pool.acquire() as connection, connection.transaction():
        actor = audit.Actor("user", None, "", shown.address, shown.request_id)
        thing = audit.Thing("user", str(row["id"]), row["email"])
        await audit.record(connection, actor, audit.Verb.ACCOUNT_SIGN_IN_FAILED, thing, after={"how": "password"})
        # Who knows the password and has not confirmed yet gets the link again, instead of an answer that tells.
        if right and not row["verified"] and await throttle.allows("verify_to", digest_of(row["email"]).hex()):
            await ask_again(connection, settings, row["email"])


def _address(text: str) -> str:
    try:
        return valid_email(text)
    except Fault:
        return ""
