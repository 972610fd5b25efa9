"""A forgotten password: a link by mail, good once and for half an hour, sets a new one and ends every session (A2, A5, A6)."""

from typing import Any

from domain import audit
from domain.identity.addresses import valid_email
from domain.identity.connections import list_connections
from domain.identity.links import RESET, VERIFY, DeadLink, look_at, new_link, use, void
from domain.identity.new_passwords import require_good
from domain.identity.own_tokens import list_tokens, revoke_tokens
from domain.identity.sessions import end_sessions_of
from domain.identity.signing_up import activate, wished_organization
from domain.outbox import post_mail
from domain.passwords import hash_password
from domain.settings import Settings

NAMED = 10
"""Tokens and accounts that a mail names, of each kind."""
_MAY_RESET = "select id from users where email = $1 and (active or email_verified_at is null)"


async def ask_for_reset(connection: Any, settings: Settings, email: str) -> None:
    """Mail the link to the user of this address; nothing if there is none, or an operator disabled them. Raises InvalidValue."""
    email = valid_email(email)
    user_id = await connection.fetchval(_MAY_RESET, email)
    if user_id is None:
        return
    token = await new_link(connection, user_id, email, RESET)
    values = {"email": email, "link": f"{settings.portal.base_url}/reset/{token}"}
    await post_mail(connection, settings.secrets, template="reset_password", to=email, values=values)


async def checked_password(connection: Any, token: str, password: str) -> str:
    """The hash of a new password for the user of a link, which is not used yet. Raises DeadLink, InvalidValue."""
    link = await look_at(connection, token, RESET)
    require_good(password, email=link.email)
    return await hash_password(password)


async def reset(
    connection: Any, settings: Settings, token: str, password_hash: str, actor: audit.Actor, *, end_tokens: bool
) -> tuple[int, int]:
    """Use the link: set the password, end every session and every other link, tell the user by mail.

    With `end_tokens` no access token of theirs is good any more either. The mail says what can still act for them:
    tokens that go on, and connected accounts. The mailbox is proven by it, so it also activates who had not come that far. Returns the user and how many sessions
    ended. Raises DeadLink, also for a user who was disabled meanwhile.
    """
    link = await use(connection, token, RESET)
    name = await wished_organization(connection, link.user_id)
    await activate(connection, settings, link.user_id, name, actor)
    email = await connection.fetchval(
        "update users set password = $2 where id = $1 and active and email = $3 returning email",
        link.user_id,
        password_hash,
        link.email,
    )
    if email is None:
        raise DeadLink
    await void(connection, link.user_id, VERIFY)
    ended = await end_sessions_of(connection, link.user_id)
    actor = audit.Actor("user", link.user_id, link.email, actor.address, actor.request_id)
    thing = audit.Thing("user", str(link.user_id), link.email)
    revoked = await revoke_tokens(connection, link.user_id, actor) if end_tokens else []
    after = {"sessions_ended": ended, "tokens_revoked": len(revoked)}
    await audit.record(connection, actor, audit.Verb.ACCOUNT_RESET_PASSWORD, thing, after=after)
    await post_mail(
        connection,
        settings.secrets,
        template="password_changed",
        to=link.email,
        values={
            "email": link.email,
            "address": actor.address,
            "others": await _others(connection, link.user_id, revoked),
        },
    )
    return link.user_id, ended


async def _others(connection: Any, user_id: int, revoked: list[str]) -> str:
    """What besides browsers could act for the user, and whether it still can."""
    going_on = [token.name for token in await list_tokens(connection, user_id) if not token.expired]
    elsewhere = [f"{each.issuer} {each.email}".strip() for each in await list_connections(connection, user_id)]
    said = (
        ("Revoked with it were these access tokens", revoked),
        ("These access tokens go on", going_on),
        ("These connected accounts still sign you in", elsewhere),
    )
    sentences = [
        f"{words}: {', '.join(names[:NAMED])}{' and more' * (len(names) > NAMED)}." for words, names in said if names
    ]
    return " ".join(sentences) or "There are no access tokens, and no connected accounts."
