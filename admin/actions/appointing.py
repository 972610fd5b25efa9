"""Saying who is an operator, and signing operators out."""

from typing import Literal

from admin.actions.action import Action, Field, Outcome, Preview, Values
from admin.actions.kinds import Email
from admin.web.visit import Visit
from domain.faults import Conflict
from domain.operating.operators import end_operator_sessions, set_operator_role
from domain.operating.people import Person, fetch_person
from domain.operators import OperatorRole, Right

_MAY = {
    OperatorRole.SUPERUSER: "everything, also to say who is an operator",
    OperatorRole.ADMIN: "everything but to say who is an operator",
    OperatorRole.SUPPORT: "act for customers, run jobs, see money and reports",
    OperatorRole.ANALYST: "see customers, money and reports",
    OperatorRole.FINANCE: "grant and refund credits, see money, reports and the audit",
}
_NONE = "none"
_USER = Field("user", "E-mail address", hint="Of somebody who has an account.", maxlength=254)
_LINKS = (("To the operators", "/operators"),)


class Appointment(Values):
    """Who, and what they are from now on."""

    user: Email
    role: Literal["superuser", "admin", "support", "analyst", "finance", "none"]

    @property
    def wanted(self) -> OperatorRole | None:
        """The role; None: dismissed."""
        return None if self.role == _NONE else OperatorRole(self.role)


class Chosen(Values):
    """The operator."""

    user: Email


async def _preview_appointing(visit: Visit, values: Appointment) -> Preview:
    person = await fetch_person(visit.connection, values.user)
    role, now = values.wanted, person.operator_role or _NONE
    if now == values.role:
        raise Conflict(f"{person.email} {'is no operator' if role is None else f'has the role {now}'} already.")
    may = f"may from now on: {_MAY[role]}" if role else "does not get into the back office any more"
    warnings = []
    if person.id == visit.operator.id:
        warnings.append("This is you: you are signed out, and may not be able to take it back.")
    if role is not None and not person.has_factor:
        warnings.append(f"{person.email} has no second factor: a password alone opens the account.")
    if person.waits:
        warnings.append(f"{person.email} has not confirmed the address yet, and cannot sign in before.")
    sentences = (
        f"{person.email} {may}.",
        "Their sessions in the back office end, and they are told by mail.",
    )
    return Preview(sentences, (("Role", now, values.role),), tuple(warnings))


async def _appoint(visit: Visit, values: Appointment, reason: str) -> Outcome:
    role = values.wanted
    person = await set_operator_role(
        visit.connection, visit.settings, visit.actor, email=values.user, role=role, reason=reason
    )
    return Outcome(f"{person.email} has the role {role.value}." if role else f"{person.email} is dismissed.", _LINKS)


async def _preview_ending(visit: Visit, values: Chosen) -> Preview:
    person = await _operator(visit, values)
    warnings = ("This is you: you are signed out here.",) if person.id == visit.operator.id else ()
    return Preview(
        (f"{person.email} is signed out of the back office everywhere, and acts as nobody any more.",), (), warnings
    )


async def _end(visit: Visit, values: Chosen, reason: str) -> Outcome:
    person = await _operator(visit, values)
    ended = await end_operator_sessions(visit.connection, visit.actor, email=person.email, reason=reason)
    return Outcome(f"{ended} session{'' if ended == 1 else 's'} of {person.email} ended.", _LINKS)


async def _operator(visit: Visit, values: Chosen) -> Person:
    person = await fetch_person(visit.connection, values.user)
    if person.operator_role is None:
        raise Conflict(f"{person.email} is no operator.")
    return person


ACTIONS = (
    Action(
        slug="appoint-operator",
        title="Appoint or dismiss an operator",
        group="Running it",
        right=Right.OPERATORS,
        summary="Say what somebody may do in the back office. There always is a superuser.",
        model=Appointment,
        fields=(
            _USER,
            Field(
                "role",
                "Role",
                "choice",
                options=(
                    *((role.value, f"{role.value}: {may}") for role, may in _MAY.items()),
                    (_NONE, "none: dismiss them"),
                ),
            ),
        ),
        preview=_preview_appointing,
        carry_out=_appoint,
        button="Do it",
        danger=True,
    ),
    Action(
        slug="end-operator-sessions",
        title="Sign an operator out",
        group="Running it",
        right=Right.OPERATORS,
        summary="Ends their sessions in the back office, and what they act as; they can sign in again.",
        model=Chosen,
        fields=(_USER,),
        preview=_preview_ending,
        carry_out=_end,
        button="Sign out",
        danger=True,
    ),
)
