"""Erasing a person who wants to be forgotten."""

from typing import Annotated

from pydantic import Field as Constraint

from admin.actions.action import Action, Field, Outcome, Preview, Values
from admin.actions.kinds import Email
from admin.actions.wording import counted
from admin.web.visit import Visit
from domain.operating.erasing import erase_person, look_at
from domain.operators import Right


class Chosen(Values):
    """The person, and who becomes the owner where they are the only one among others."""

    email: Email
    successor: Annotated[str, Constraint(max_length=254)] = ""


async def _preview(visit: Visit, values: Chosen) -> Preview:
    found = await look_at(visit.connection, values.email, successor=values.successor)
    sentences = [
        (
            f"{found.person.email} is erased at once and for good: account, sessions, access tokens, second factors,"
            " connected sign-ins, memberships. A last mail says so."
        ),
        "Nobody can take it back. The audit and the ledger stay.",
    ]
    sentences += [f"{name} has nobody else and is closed: its API keys stop." for name in found.closes]
    sentences += [f"{name} gets the owner {values.successor.lower()}." for name in found.hands_over]
    goes_on = len(found.leaves) - len(found.hands_over)
    notes = (f"{counted(goes_on, 'other organization')} go on without them.",) if goes_on else ()
    return Preview(tuple(sentences), (("Account", found.person.email, "none"),), (), notes)


async def _carry_out(visit: Visit, values: Chosen, reason: str) -> Outcome:
    done = await erase_person(
        visit.connection, visit.settings, visit.actor, email=values.email, reason=reason, successor=values.successor
    )
    return Outcome(f"{done.person.email} is erased.", report=tuple(f"{name} is closed." for name in done.closes))


ACTIONS = (
    Action(
        slug="erase-user",
        title="Erase a person",
        group="Customers",
        right=Right.ERASE,
        summary="Somebody who wants to be forgotten is erased at once, without the days in which an account can be kept.",
        model=Chosen,
        fields=(
            Field("email", "E-mail address", maxlength=254),
            Field(
                "successor",
                "Successor",
                required=False,
                maxlength=254,
                hint="Only where they are the only owner among others: the address of the member who becomes the owner.",
            ),
        ),
        preview=_preview,
        carry_out=_carry_out,
        button="Erase",
        danger=True,
    ),
)
