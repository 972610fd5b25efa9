"""A person changes their address: a link to the new one, a notice to the old one; who else has it is told to nobody (A5)."""

from typing import Any

import asyncpg

from domain import audit
from domain.faults import Conflict, InvalidValue
from domain.identity.addresses import valid_email
from domain.identity.links import CHANGE_EMAIL, RESET, DeadLink, new_link, use, void
from domain.identity.proof import require_fresh
from domain.identity.sessions import Session
from domain.identity.throttle import Throttle
from domain.outbox import post_mail
from domain.random_tokens import digest_of
from domain.settings import Settings

RULE = "own_email"
_UNPROVEN = "not active and email_verified_at is null"
"""A sign-up that nobody confirmed keeps its address from nobody who proves it."""


async def ask_to_change_email(
    connection: Any, throttle: Throttle, settings: Settings, session: Session, actor: audit.Actor, email: str
) -> None:
    """Mail the link to the new address and a notice to the old one. A taken address gets a mail without a link.

    An address that many asked for lately gets none, which looks the same: it may be somebody's whom they annoy. Earlier links of this kind die. Raises ProofNeeded, InvalidValue, TooManyTries.
    """
    require_fresh(session, settings.portal)
    email = valid_email(email)
    if email == session.email:
        raise InvalidValue("This is your address already.")
    await throttle.take(RULE, str(session.user_id))
    await void(connection, session.user_id, CHANGE_EMAIL)
    # A taken address has a row too, whose token nobody gets: the account looks the same either way.
    token = await new_link(connection, session.user_id, email, CHANGE_EMAIL)
    thing, before, after = _thing(session.user_id, actor), {"email": session.email}, {"email": email}
    await audit.record(connection, actor, audit.Verb.ACCOUNT_ASK_EMAIL, thing, before=before, after=after)
    taken = await connection.fetchval(f"select true from users where email = $1 and not ({_UNPROVEN})", email)
    link = f"{settings.portal.base_url}/account/email/{token}"
    if await throttle.allows("change_to", digest_of(email).hex()):
        await post_mail(
            connection,
            settings.secrets,
            template="taken_address" if taken else "change_email",
            to=email,
            values={"email": email} if taken else {"email": email, "old": session.email, "link": link},
        )
    values = {"email": session.email, "new": email, "address": actor.address}
    await post_mail(connection, settings.secrets, template="email_will_change", to=session.email, values=values)


async def cancel_email_change(connection: Any, user_id: int, actor: audit.Actor) -> None:
    """No link that was mailed is good any more."""
    if await void(connection, user_id, CHANGE_EMAIL):
        await audit.record(connection, actor, audit.Verb.ACCOUNT_CANCEL_EMAIL, _thing(user_id, actor))


async def confirm_email(connection: Any, settings: Settings, token: str, actor: audit.Actor) -> str:
    """Use the link: the new address, which is proven by it. Links for a new password that went to the old one die.

    Raises DeadLink; Conflict if somebody has taken the address meanwhile.
    """
    link = await use(connection, token, CHANGE_EMAIL)
    try:
        async with connection.transaction():
            await connection.execute(f"delete from users where email = $1 and {_UNPROVEN}", link.email)
            old = await connection.fetchval(
                "update users u set email = $2, username = $2, email_verified_at = now() from users was"
                " where u.id = $1 and was.id = u.id and u.active returning was.email",
                link.user_id,
                link.email,
            )
    except asyncpg.UniqueViolationError:
        raise Conflict("There is another account with this address by now.") from None
    if old is None:
        raise DeadLink
    await void(connection, link.user_id, RESET)
    actor = audit.Actor("user", link.user_id, old, actor.address, actor.request_id)
    thing = audit.Thing("user", str(link.user_id), link.email)
    await audit.record(
        connection, actor, audit.Verb.ACCOUNT_CHANGE_EMAIL, thing, before={"email": old}, after={"email": link.email}
    )
    values = {"email": old, "new": link.email, "address": actor.address}
    await post_mail(connection, settings.secrets, template="email_changed", to=old, values=values)
    return link.email


def _thing(user_id: int, actor: audit.Actor) -> audit.Thing:
    return audit.Thing("user", str(user_id), actor.name)
