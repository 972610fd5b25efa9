"""Actions on people's accounts: made, mailed again, signed out, relieved of a lost second factor."""

from typing import Annotated, Literal

from pydantic import Field as Constraint

from admin.actions.action import Action, Field, Outcome, Preview, Values
from admin.actions.kinds import Email
from admin.actions.wording import Links, counted, utc
from admin.web.visit import Visit
from domain.access import ROLES
from domain.faults import Conflict
from domain.identity.addresses import valid_email
from domain.operating import people
from domain.operating.people import FIRST_LINK_LIVES, Person, Seat
from domain.operators import Right
from domain.organizations import fetch_organization

EMAIL = Field("email", "E-mail address", maxlength=254)


class Chosen(Values):
    """The person."""

    email: Email


class NewPerson(Chosen):
    """Who is to get an account."""

    name: Annotated[str, Constraint(max_length=120)] = ""
    organization: Annotated[str, Constraint(max_length=63)] = ""
    role: Literal["owner", "admin", "developer", "billing", "viewer"] = "developer"


async def _preview_creating(visit: Visit, values: NewPerson) -> Preview:
    email = valid_email(values.email)
    if await people.find_person(visit.connection, email) is not None:
        raise Conflict(f"There is a user {email} already. Members invite each other in the portal.")
    seat = await _seat(visit, values)
    belongs = f"belongs to {seat.organization.name} as {seat.role}" if seat else "belongs to no organization"
    return Preview(
        (
            f"{email} gets an account, and a mail with a link to choose a password; it {belongs}.",
            f"The link is good once, for {FIRST_LINK_LIVES.days} days. Until it is used the account cannot sign in.",
        ),
        (("Account", "none", "waits for its link"),),
    )


async def _create(visit: Visit, values: NewPerson, reason: str) -> Outcome:
    seat = await _seat(visit, values)
    made = await people.create_person(
        visit.connection, visit.settings, visit.actor, email=values.email, name=values.name, seat=seat, reason=reason
    )
    return Outcome(f"{made.email} has an account, and a link is on its way.", _links(made))


async def _seat(visit: Visit, values: NewPerson) -> Seat | None:
    """The wished seat. Among people who are there, it is for those who may act as a customer. Raises Forbidden."""
    if not values.organization:
        return None
    found = await fetch_organization(visit.connection, values.organization)
    if found.state == "closed":
        raise Conflict(f"{found.name} is closed.")
    if await visit.connection.fetchval("select true from membership where organization_id = $1 limit 1", found.id):
        visit.operator.require(Right.CHANGE_AS_CUSTOMER)
    return Seat(found, values.role)


async def _preview_sending(visit: Visit, values: Chosen) -> Preview:
    person = await people.fetch_person(visit.connection, values.email)
    if not person.waits:
        since = f"confirmed on {utc(person.email_verified_at)}" if person.email_verified_at else "switched off"
        raise Conflict(f"{person.email} waits for no link: the account is {since}.")
    return Preview(
        (
            f"{person.email} gets one more mail with a link. The account still waits to be confirmed.",
            "Links that were mailed before stay good until their time is over.",
        ),
    )


async def _send(visit: Visit, values: Chosen, reason: str) -> Outcome:
    person = await people.send_link_again(
        visit.connection, visit.settings, visit.actor, email=values.email, reason=reason
    )
    return Outcome(f"A link is on its way to {person.email}.", _links(person))


async def _preview_signing_out(visit: Visit, values: Chosen) -> Preview:
    person = await _within_reach(visit, values)
    if not person.sessions:
        raise Conflict(f"{person.email} is signed in nowhere.")
    warnings = ("This is you: this browser is signed out too.",) if person.id == visit.operator.id else ()
    return Preview(
        (f"Every browser of {person.email} has to sign in again, in the portal and in the back office.",),
        (("Sessions", f"{person.sessions:,}", "0"),),
        warnings,
        ("Access tokens and API keys stay as they are.",),
    )


async def _sign_out(visit: Visit, values: Chosen, reason: str) -> Outcome:
    person = await _within_reach(visit, values)
    ended = await people.sign_out_everywhere(visit.connection, visit.actor, email=values.email, reason=reason)
    return Outcome(f"{counted(ended, 'session')} of {person.email} ended.", _links(person))


async def _preview_resetting(visit: Visit, values: Chosen) -> Preview:
    person = await _within_reach(visit, values)
    if person.id == visit.operator.id:
        raise Conflict("Your own second factor you switch off in your account, with your password.")
    if not person.has_factor:
        raise Conflict(f"No second factor of {person.email} is in force.")
    return Preview(
        (
            f"{person.email} signs in with the password alone until a new authenticator is set up, and is told by mail.",
            "Be sure who asks for this: whoever has the password gets in.",
        ),
        (
            ("Second factor", "in force", "none"),
            ("Recovery codes", f"{person.recovery_codes:,}", "0"),
            ("Sessions", f"{person.sessions:,}", "0"),
        ),
    )


async def _reset(visit: Visit, values: Chosen, reason: str) -> Outcome:
    person = await _within_reach(visit, values)
    await people.reset_factor(visit.connection, visit.settings, visit.actor, email=values.email, reason=reason)
    return Outcome(f"The second factor of {person.email} is off, and the person is told.", _links(person))


async def _within_reach(visit: Visit, values: Chosen) -> Person:
    """The person. Operators are only for those who say who is one. Raises Forbidden."""
    person = await people.fetch_person(visit.connection, values.email)
    if person.operator_role is not None and person.id != visit.operator.id:
        visit.operator.require(Right.OPERATORS)
    return person


def _links(person: Person) -> Links:
    return ((f"To {person.email}", f"/users/{person.id}"),)


_ROLES = tuple((role, role.capitalize()) for role in ROLES)

ACTIONS = (
    Action(
        slug="create-user",
        title="Create a user",
        group="Customers",
        right=Right.SUPPORT,
        summary="Somebody gets an account, and a mail with a link to choose a password.",
        model=NewPerson,
        fields=(
            EMAIL,
            Field("name", "Name", required=False, maxlength=120),
            Field("organization", "Organization", required=False, maxlength=63, hint="Its short name. Empty: none."),
            Field("role", "Role there", "choice", value="developer", options=_ROLES),
        ),
        preview=_preview_creating,
        carry_out=_create,
        button="Create",
    ),
    Action(
        slug="resend-confirmation",
        title="Send the confirmation again",
        group="Customers",
        right=Right.SUPPORT,
        summary="Somebody who has yet to confirm their address gets one more link.",
        model=Chosen,
        fields=(EMAIL,),
        preview=_preview_sending,
        carry_out=_send,
        button="Send",
    ),
    Action(
        slug="sign-out-user",
        title="Sign a person out everywhere",
        group="Customers",
        right=Right.SUPPORT,
        summary="All of a person's sessions end at once.",
        model=Chosen,
        fields=(EMAIL,),
        preview=_preview_signing_out,
        carry_out=_sign_out,
        button="Sign out",
        danger=True,
    ),
    Action(
        slug="reset-factor",
        title="Reset a second factor",
        group="Customers",
        right=Right.RESET_FACTORS,
        summary="Somebody who lost authenticator and recovery codes can sign in with the password again.",
        model=Chosen,
        fields=(EMAIL,),
        preview=_preview_resetting,
        carry_out=_reset,
        button="Reset",
        danger=True,
    ),
)
