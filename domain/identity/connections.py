"""Accounts elsewhere that sign a person in: who they are here, connecting and disconnecting.

An address alone connects nothing. Whoever had an account here before, under whatever address, signs in and connects the
other account by hand: else who signed up with the address of another would share the account with them.
"""

from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from domain import audit
from domain.faults import Conflict, Forbidden, NotFound, NotSignedIn
from domain.identity.addresses import valid_email
from domain.identity.elsewhere import OutsideAccount, Refused
from domain.identity.links import RESET, VERIFY, void
from domain.identity.proof import require_fresh
from domain.identity.sessions import Session, end_sessions_of
from domain.identity.signing_up import invited
from domain.names import NAME_LENGTH, valid_name
from domain.outbox import post_mail
from domain.passwords import NO_PASSWORD
from domain.settings import Settings
from domain.sign_up import found


class KnownAddress(Conflict):
    """There is an account with this address, which is not connected."""

    code = "known_address"


@dataclass(frozen=True, slots=True)
class Connection:
    """One connected account."""

    id: UUID
    issuer: str
    email: str
    created_at: datetime
    last_used_at: datetime | None


async def list_connections(connection: Any, user_id: int) -> list[Connection]:
    """All of a person, oldest first."""
    rows = await connection.fetch(
        "select id, issuer, email, created_at, last_used_at from outside_identity where user_id = $1"
        " order by created_at, id",
        user_id,
    )
    return [Connection(**dict(row)) for row in rows]


async def known_user(connection: Any, account: OutsideAccount) -> int | None:
    """Whom the account signs in; None if it is connected to nobody. Raises NotSignedIn for a user who is not active."""
    row = await connection.fetchrow(
        "update outside_identity i set last_used_at = now(), email = coalesce(nullif($3, ''), i.email) from users u"
        " where i.issuer = $1 and i.subject = $2 and u.id = i.user_id returning i.user_id, u.active",
        account.issuer,
        account.subject,
        account.email[:255],
    )
    if row is None:
        return None
    if not row["active"]:
        raise NotSignedIn("This account is not active.")
    return int(row["user_id"])


_TAKE = """
insert into users (username, email, password, active, email_verified_at, first_name) values ($1, $1, $2, true, now(), $3)
    on conflict (email) do update set password = excluded.password, active = true, email_verified_at = now(),
      first_name = excluded.first_name
    where not users.active and users.email_verified_at is null
returning id
"""


async def sign_up_elsewhere(connection: Any, settings: Settings, account: OutsideAccount, actor: audit.Actor) -> int:
    """A new user with the vouched address, without a password, with an organization of their own unless invited to one.

    A sign-up under this address that nobody confirmed is taken over and its password forgotten. Raises Refused without
    a vouched address, KnownAddress, Forbidden while only the invited may sign up.
    """
    if not account.email:
        raise Refused("The other site does not vouch for your e-mail address. Verify it there, or sign up here.")
    email = valid_email(account.email)
    expected = await invited(connection, email)
    if not settings.portal.sign_up_open and not expected:
        known = await connection.fetchval("select true from users where email = $1 and active", email)
        if not known:
            raise Forbidden("Only who was invited can sign up here.")
    user_id = await connection.fetchval(_TAKE, email, NO_PASSWORD, _name(account.name))
    if user_id is None:
        raise KnownAddress(
            f"There is an account with the address {email} already. Sign in to it the way you do,"
            " then connect the other one under Account, Connections."
        )
    for purpose in (VERIFY, RESET):
        await void(connection, user_id, purpose)
    await end_sessions_of(connection, user_id)
    actor = audit.Actor("user", user_id, email, actor.address, actor.request_id)
    thing = audit.Thing("user", str(user_id), email)
    await audit.record(connection, actor, audit.Verb.ACCOUNT_SIGN_UP, thing, after={"issuer": account.issuer})
    await _insert(connection, user_id, account)
    if not expected:
        await found(connection, settings, actor, name=_name(account.name) or email.partition("@")[0])
    return int(user_id)


async def connect(
    connection: Any, settings: Settings, session: Session, actor: audit.Actor, account: OutsideAccount
) -> None:
    """Let the account sign the person in; again is no change. Raises ProofNeeded, Conflict if it is another's."""
    require_fresh(session, settings.portal)
    if not await _insert(connection, session.user_id, account):
        owner = await connection.fetchval(
            "select user_id from outside_identity where issuer = $1 and subject = $2", account.issuer, account.subject
        )
        if owner != session.user_id:
            raise Conflict("That account is connected to another person here. Disconnect it there first.")
        return
    thing = audit.Thing("connection", account.issuer, account.email)
    await audit.record(connection, actor, audit.Verb.ACCOUNT_CONNECT, thing)
    values = {
        "email": session.email,
        "issuer": account.issuer,
        "other": account.email or account.name or "without an address",
    }
    await post_mail(connection, settings.secrets, template="account_connected", to=session.email, values=values)


async def disconnect(
    connection: Any, settings: Settings, session: Session, actor: audit.Actor, connection_id: UUID
) -> None:
    """Let it sign in no more. Raises ProofNeeded; NotFound; Conflict if it is the last way in."""
    require_fresh(session, settings.portal)
    # The lock orders the disconnections of one person: two at once must not remove the last two ways in.
    await connection.execute("select from users where id = $1 for update", session.user_id)
    row = await connection.fetchrow(
        "delete from outside_identity where id = $1 and user_id = $2"
        " and (exists (select from users where id = $2 and password <> $3)"
        " or (select count(*) from outside_identity where user_id = $2) > 1) returning issuer, email",
        connection_id,
        session.user_id,
        NO_PASSWORD,
    )
    if row is not None:
        thing = audit.Thing("connection", row["issuer"], row["email"])
        await audit.record(connection, actor, audit.Verb.ACCOUNT_DISCONNECT, thing)
        return
    mine = "select true from outside_identity where id = $1 and user_id = $2"
    if await connection.fetchval(mine, connection_id, session.user_id):
        raise Conflict("This is your only way to sign in. Set a password first.")
    raise NotFound("There is no such connection.")


async def _insert(connection: Any, user_id: int, account: OutsideAccount) -> bool:
    made = await connection.fetchval(
        "insert into outside_identity (user_id, issuer, subject, email) values ($1, $2, $3, $4)"
        " on conflict on constraint uq_outside_identity_issuer_subject do nothing returning id",
        user_id,
        account.issuer,
        account.subject,
        account.email[:255],
    )
    return made is not None


def _name(text: str) -> str:
    """A name from elsewhere, as far as it can be one here."""
    printable = "".join(character for character in text if character.isprintable()).strip()[:NAME_LENGTH].strip()
    return valid_name(printable) if printable else ""
