"""What operators do to people's accounts: made, mailed again, signed out, relieved of a lost second factor.

All of it belongs into the caller's transaction: the change, its trace and its mail happen together or not at all.
"""

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from domain import audit
from domain.faults import Conflict, NotFound
from domain.identity.acting import end_acting_of
from domain.identity.addresses import valid_email
from domain.identity.links import RESET, new_link
from domain.identity.recovery_codes import forget_codes
from domain.identity.sessions import end_sessions_of
from domain.identity.signing_up import ask_again
from domain.names import valid_name
from domain.organizations import OrganizationRecord
from domain.outbox import post_mail
from domain.passwords import NO_PASSWORD
from domain.settings import Settings
from domain.webhooks import announcing

FIRST_LINK_LIVES = timedelta(days=7)
_FIND = """
select u.id, u.email, u.active, u.email_verified_at, u.operator_role,
       exists (select from totp_factor f where f.user_id = u.id and f.confirmed_at is not null) as has_factor,
       (select count(*) from recovery_code c where c.user_id = u.id and c.used_at is null) as recovery_codes,
       (select count(*) from portal_session s where s.user_id = u.id and s.expires_at > now()) as sessions
  from users u where u.email = $1
"""
_INSERT = """
insert into users (username, email, password, active, first_name) values ($1, $1, $2, false, $3)
    on conflict (email) do nothing returning id
"""


@dataclass(frozen=True, slots=True)
class Person:
    """A user as an operator deals with them. `waits`: they have yet to prove their mailbox; `is_operator`: has a role."""

    id: int
    email: str
    active: bool
    email_verified_at: datetime | None
    operator_role: str | None
    has_factor: bool
    recovery_codes: int
    sessions: int

    @property
    def waits(self) -> bool:
        """Whether the mailbox is yet to be proven, so that they cannot sign in."""
        return not self.active and self.email_verified_at is None

    @property
    def thing(self) -> audit.Thing:
        """The person as the audit names them."""
        return audit.Thing("user", str(self.id), self.email)


@dataclass(frozen=True, slots=True)
class Seat:
    """A role in an organization."""

    organization: OrganizationRecord
    role: str


async def find_person(connection: Any, email: str) -> Person | None:
    """The user of an address; None if there is none. Raises InvalidValue."""
    row = await connection.fetchrow(_FIND, valid_email(email))
    return None if row is None else Person(**dict(row))


async def fetch_person(connection: Any, email: str) -> Person:
    """The user of an address. Raises NotFound, InvalidValue."""
    found = await find_person(connection, email)
    if found is None:
        raise NotFound(f"There is no user {email.strip().lower()}.")
    return found


async def create_person(
    connection: Any,
    settings: Settings,
    actor: audit.Actor,
    *,
    email: str,
    name: str = "",
    seat: Seat | None = None,
    reason: str,
) -> Person:
    """A new user, who can sign in once they have opened the mailed link and chosen a password; perhaps with a seat.

    Raises Conflict, InvalidValue.
    """
    email = valid_email(email)
    name = valid_name(name, "person's name") if name.strip() else ""
    user_id = await connection.fetchval(_INSERT, email, NO_PASSWORD, name)
    if user_id is None:
        raise Conflict(f"There is a user {email} already.")
    await _mail_first_link(connection, settings, user_id, email)
    made = await fetch_person(connection, email)
    await audit.record(
        connection, actor, audit.Verb.ACCOUNT_CREATE, made.thing, after={"email": email, "name": name}, reason=reason
    )
    if seat is not None:
        await _sit_down(connection, actor, made, seat, reason)
    return made


async def send_link_again(
    connection: Any, settings: Settings, actor: audit.Actor, *, email: str, reason: str
) -> Person:
    """Mail the link once more with which somebody proves their mailbox. Raises NotFound; Conflict for who has done so."""
    person = await fetch_person(connection, email)
    if not person.waits:
        raise Conflict(f"{person.email} does not wait for a link: they confirmed their address, or were switched off.")
    signed_up = await connection.fetchval(
        "select true from user_link where user_id = $1 and purpose = 'verify_email' limit 1", person.id
    )
    if signed_up:
        await ask_again(connection, settings, person.email)
    else:
        await _mail_first_link(connection, settings, person.id, person.email)
    await audit.record(connection, actor, audit.Verb.ACCOUNT_SEND_LINK, person.thing, after={}, reason=reason)
    return person


async def sign_out_everywhere(connection: Any, actor: audit.Actor, *, email: str, reason: str) -> int:
    """End all sessions of a person, in the portal and here; how many there were. Raises NotFound, Conflict for none."""
    person = await fetch_person(connection, email)
    ended = await _end_sessions(connection, actor, person)
    if not ended:
        raise Conflict(f"{person.email} is signed in nowhere.")
    verb = audit.Verb.ACCOUNT_END_ALL_SESSIONS
    await audit.record(connection, actor, verb, person.thing, after={"sessions_ended": ended}, reason=reason)
    return ended


async def reset_factor(connection: Any, settings: Settings, actor: audit.Actor, *, email: str, reason: str) -> int:
    """Take the second factor and its recovery codes away, end all sessions, tell the person by mail.

    Returns how many sessions ended. Raises NotFound; Conflict for the actor's own, and where none is in force.
    """
    person = await fetch_person(connection, email)
    if person.id == actor.id:
        raise Conflict("Your own second factor you switch off in your account, with your password.")
    removed = await connection.fetchval(
        "delete from totp_factor where user_id = $1 and confirmed_at is not null returning true", person.id
    )
    if not removed:
        raise Conflict(f"No second factor of {person.email} is in force.")
    await forget_codes(connection, person.id)
    ended = await _end_sessions(connection, actor, person)
    await audit.record(
        connection,
        actor,
        audit.Verb.ACCOUNT_RESET_FACTOR,
        person.thing,
        before={"second_factor": True},
        after={"second_factor": False, "sessions_ended": ended},
        reason=reason,
    )
    values = {"email": person.email}
    await post_mail(connection, settings.secrets, template="factor_reset", to=person.email, values=values)
    return ended


async def _end_sessions(connection: Any, actor: audit.Actor, person: Person) -> int:
    """End them all; the customers as whom an operator acts are told by their audit. How many there were."""
    acting = await end_acting_of(connection, person.id, actor, why="the operator was signed out")
    return acting + await end_sessions_of(connection, person.id)


async def _sit_down(connection: Any, actor: audit.Actor, person: Person, seat: Seat, reason: str) -> None:
    organization = seat.organization
    await connection.execute(
        "insert into membership (organization_id, user_id, role) values ($1, $2, $3)",
        organization.id,
        person.id,
        seat.role,
    )
    await audit.record(
        connection,
        actor,
        audit.Verb.MEMBER_JOIN,
        audit.Thing("member", str(person.id), person.email),
        organization_id=organization.id,
        after={"role": seat.role},
        reason=reason,
    )
    await announcing.member_joined(connection, organization.id, user_id=person.id, email=person.email, role=seat.role)


async def _mail_first_link(connection: Any, settings: Settings, user_id: int, email: str) -> None:
    token = await new_link(connection, user_id, email, RESET, lives=FIRST_LINK_LIVES)
    values = {
        "email": email,
        "link": f"{settings.portal.base_url}/reset/{token}",
        "days": str(FIRST_LINK_LIVES.days),
    }
    await post_mail(connection, settings.secrets, template="account_made", to=email, values=values)
