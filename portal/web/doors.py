"""What happens at the doors, for pages and API alike: sign up, confirm, sign in and out, forget and reset.

Each takes its own connection, and none while a password is hashed. Where an answer could tell whether an address is
known it takes at least EVEN_SECONDS, whatever was done meanwhile (case A5).
"""

import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from domain import audit
from domain.identity import resetting, signing_up
from domain.identity.acting import end_acting
from domain.identity.addresses import network_of, valid_email
from domain.identity.passwords_shown import Shown, WrongCredentials, check_shown
from domain.identity.sessions import end_session
from domain.identity.throttle import at_least
from domain.passwords import hash_password
from domain.random_tokens import digest_of
from portal.web.cookies import DEVICE, read_cookie
from portal.web.visit import Visit

EVEN_SECONDS = 0.2
_MAILS = "Too many mails were asked for from your network."
_LINKS = "Too many passwords were tried from your network."


@asynccontextmanager
async def changing(visit: Visit) -> AsyncIterator[None]:
    """A connection in a transaction for the visit of a route that is not connected."""
    async with visit.services.database.acquire() as connection, connection.transaction():
        visit.connection = connection
        try:
            yield
        finally:
            visit.connection = None


async def sign_up(visit: Visit, email: str, password: str, organization: str, then: str = "") -> None:
    """Ask for an account; the mailed link leads to the path `then`.

    Raises InvalidValue, TooManyTries; returns the same for known and unknown addresses.
    """
    begin, throttle = time.monotonic(), visit.services.throttle
    wish = signing_up.checked_wish(email, password, organization)
    await throttle.take("mail_from", network_of(visit.address), _MAILS)
    async with throttle.hashing(known=False):
        password_hash = await hash_password(wish.password)
    if await throttle.allows("verify_to", digest_of(wish.email).hex()):
        async with changing(visit):
            await signing_up.ask(visit.connection, visit.settings, wish, password_hash, visit.actor, then)
    await at_least(EVEN_SECONDS, begin)


async def send_again(visit: Visit, email: str) -> None:
    """Mail the confirmation once more, if one waits. Raises InvalidValue, TooManyTries."""
    begin, throttle = time.monotonic(), visit.services.throttle
    email = valid_email(email)
    await throttle.take("mail_from", network_of(visit.address), _MAILS)
    if await throttle.allows("verify_to", digest_of(email).hex()):
        async with changing(visit):
            await signing_up.ask_again(visit.connection, visit.settings, email)
    await at_least(EVEN_SECONDS, begin)


async def check_confirmation(visit: Visit, token: str, password: str) -> str:
    """The hash that the password has. Raises DeadLink, WrongPassword or TooManyTries. Nothing is used yet."""
    throttle, network = visit.services.throttle, network_of(visit.address)
    await throttle.take("network", network, _LINKS)
    stored = await signing_up.check_link_password(visit.services.database, token, password)
    await throttle.give_back("network", network)
    return stored


async def sign_in(visit: Visit, email: str, password: str) -> int:
    """The user whose address and password these are. Raises WrongCredentials, which takes as long for all; TooManyTries."""
    begin, services = time.monotonic(), visit.services
    cookie = read_cookie(visit.request, visit.settings.portal, DEVICE)
    shown = Shown(email, password, cookie, visit.address, visit.request_id)
    try:
        return await check_shown(services.database, services.throttle, visit.settings, shown)
    except WrongCredentials:
        # A wrong password of a known address is noted in the audit, which takes longer than noting nothing.
        await at_least(EVEN_SECONDS, begin)
        raise


async def sign_out(visit: Visit) -> None:
    """End the browser's session, if it has one."""
    if visit.session is not None and visit.session.acting:
        await end_acting(visit.connection, visit.session, visit.actor)
    elif visit.session is not None and visit.session_token:
        await end_session(visit.connection, visit.session_token)
        thing = audit.Thing("user", str(visit.session.user_id), visit.session.email)
        await audit.record(visit.connection, visit.actor, audit.Verb.ACCOUNT_SIGN_OUT, thing)


async def forgot(visit: Visit, email: str) -> None:
    """Mail a link that sets a new password, if there is such a user. Raises InvalidValue, TooManyTries."""
    begin, throttle = time.monotonic(), visit.services.throttle
    email = valid_email(email)
    await throttle.take("mail_from", network_of(visit.address), _MAILS)
    if await throttle.allows("mail_to", digest_of(email).hex()):
        async with changing(visit):
            await resetting.ask_for_reset(visit.connection, visit.settings, email)
    await at_least(EVEN_SECONDS, begin)


async def reset(visit: Visit, token: str, password_hash: str, *, end_tokens: bool) -> int:
    """Set the password with the link, and revoke all access tokens if that is wanted. Returns the user. Raises DeadLink."""
    user_id, _ = await resetting.reset(
        visit.connection, visit.settings, token, password_hash, visit.actor, end_tokens=end_tokens
    )
    return user_id
