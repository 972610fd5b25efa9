"""From an e-mail address to a customer: ask, prove the mailbox, begin (cases A5, A11, A12).

Whether an address is known is told to nobody but its mailbox. Until the mailbox is proven the user is not active, holds
nothing, and may be asked for again by anybody; then the password of the last time counts. That is why proving takes the
password too: whoever asked in the name of another gains nothing when the other opens the link.
"""

from dataclasses import dataclass
from typing import Any
from urllib.parse import quote

from domain import audit
from domain.faults import Forbidden
from domain.identity.addresses import valid_email
from domain.identity.links import VERIFY, look_at, new_link, use
from domain.identity.new_passwords import LONGEST, require_good
from domain.names import valid_name
from domain.outbox import post_mail
from domain.passwords import verify_password
from domain.settings import Settings
from domain.sign_up import found


class WrongPassword(Forbidden):
    """The link is good, the password is another one."""

    code = "wrong_password"

    def __init__(self) -> None:
        super().__init__(
            "This is not the password that was chosen last for this address. If you don't know it, set a new one"
            " with: forgot password."
        )


@dataclass(frozen=True, slots=True, repr=False)
class Wish:
    """A checked request to sign up. `organization_name` None: found none, because somebody invited them to theirs."""

    email: str
    password: str
    organization_name: str | None


def checked_wish(email: str, password: str, organization_name: str) -> Wish:
    """The wish, if all of it may be. Raises InvalidValue."""
    email = valid_email(email)
    require_good(password, email=email)
    name = valid_name(organization_name, "organization's name") if organization_name.strip() else None
    return Wish(email, password, name)


_TAKE = """
insert into users (username, email, password, active) values ($1, $1, $2, false)
    on conflict (email) do update set password = excluded.password
    where not users.active and users.email_verified_at is null
returning id
"""


async def ask(
    connection: Any, settings: Settings, wish: Wish, password_hash: str, actor: audit.Actor, then: str = ""
) -> None:
    """Mail the link that goes on, or to a known address that it is known. Looks the same from outside.

    The caller hashes the password beforehand, for every address, so that all take as long. `then` is the path of ours
    to which the link leads at last, such as an invitation; empty for the start.
    """
    if not settings.portal.sign_up_open and not await invited(connection, wish.email):
        return
    user_id = await connection.fetchval(_TAKE, wish.email, password_hash)
    if user_id is None:
        await post_mail(
            connection, settings.secrets, template="known_address", to=wish.email, values={"email": wish.email}
        )
        return
    await _mail_link(connection, settings, user_id, wish.email, wish.organization_name, then)
    await audit.record(
        connection, actor, audit.Verb.ACCOUNT_SIGN_UP, audit.Thing("user", str(user_id), wish.email), after={}
    )


_WAITING = """
select u.id, l.organization_name from users u join user_link l on l.user_id = u.id and l.purpose = 'verify_email'
 where u.email = $1 and not u.active and u.email_verified_at is null
 order by l.created_at desc limit 1
"""


async def ask_again(connection: Any, settings: Settings, email: str) -> None:
    """Mail the link once more to whoever waits for it; nothing for any other address. Raises InvalidValue."""
    email = valid_email(email)
    row = await connection.fetchrow(_WAITING, email)
    if row is not None:
        await _mail_link(connection, settings, row["id"], email, row["organization_name"])


async def check_link_password(connection: Any, token: str, password: str) -> str:
    """The stored hash, if the link is good and the password right; it is not used yet. Raises DeadLink, WrongPassword."""
    link = await look_at(connection, token, VERIFY)
    stored: str = await connection.fetchval("select password from users where id = $1", link.user_id)
    if len(password) > LONGEST or not await verify_password(stored, password):
        raise WrongPassword
    return stored


async def prove_mailbox(connection: Any, settings: Settings, token: str, password_hash: str, actor: audit.Actor) -> int:
    """Use the link: the user becomes active and gets what they signed up for. Returns the user.

    `password_hash` is what check_link_password found. Raises DeadLink; WrongPassword if somebody has asked for the same
    address with another password since, who would own the account by it.
    """
    link = await use(connection, token, VERIFY)
    same = "select true from users where id = $1 and password = $2 for update"
    if not await connection.fetchval(same, link.user_id, password_hash):
        raise WrongPassword
    await activate(connection, settings, link.user_id, link.organization_name, actor)
    return link.user_id


async def activate(
    connection: Any, settings: Settings, user_id: int, organization_name: str | None, actor: audit.Actor
) -> bool:
    """Make a user whose mailbox is proven active, once; only then found the organization. Whether it was now."""
    email = await connection.fetchval(
        "update users set active = true, email_verified_at = now() where id = $1 and not active"
        " and email_verified_at is null returning email",
        user_id,
    )
    if email is None:
        return False
    actor = audit.Actor("user", user_id, email, actor.address, actor.request_id)
    thing = audit.Thing("user", str(user_id), email)
    await audit.record(connection, actor, audit.Verb.ACCOUNT_VERIFY_EMAIL, thing, after={"email": email})
    if organization_name is not None:
        await found(connection, settings, actor, name=organization_name)
    return True


async def wished_organization(connection: Any, user_id: int) -> str | None:
    """The name that the user last signed up with, if their mailbox is not proven yet."""
    name: str | None = await connection.fetchval(
        "select l.organization_name from user_link l join users u on u.id = l.user_id and u.email_verified_at is null"
        " where l.user_id = $1 and l.purpose = 'verify_email' order by l.created_at desc limit 1",
        user_id,
    )
    return name


async def _mail_link(
    connection: Any, settings: Settings, user_id: int, email: str, organization_name: str | None, then: str = ""
) -> None:
    token = await new_link(connection, user_id, email, VERIFY, organization_name=organization_name)
    query = f"?next={quote(then, safe='/')}" if then else ""
    values = {"email": email, "link": f"{settings.portal.base_url}/verify/{token}{query}"}
    await post_mail(connection, settings.secrets, template="verify_email", to=email, values=values)


async def invited(connection: Any, email: str) -> bool:
    """Whether somebody offered a seat to this address and the offer still stands."""
    return bool(
        await connection.fetchval(
            "select exists (select from invitation where email = $1 and accepted_at is null and withdrawn_at is null"
            " and expires_at > now())",
            email,
        )
    )
