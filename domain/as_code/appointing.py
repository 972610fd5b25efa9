"""The operators that a file names: appointed, given another role, dismissed, by the domain's own commands."""

from dataclasses import dataclass
from typing import Any

from domain.as_code.differences import Change
from domain.as_code.documents import Document
from domain.as_code.fields import NO_ROLE
from domain.as_code.mistakes import Mistake, did_you_mean
from domain.audit import Actor
from domain.faults import Conflict, Fault
from domain.operating.operators import set_operator_role
from domain.operating.people import create_person, find_person
from domain.operators import OperatorRole
from domain.settings import Settings

_REASON = "as a file says"


@dataclass(frozen=True, slots=True)
class Appointing:
    """The right to say who is an operator. `invite`: who is named and has no account gets one, and a mail."""

    settings: Settings
    invite: bool = False


async def write_operators(
    connection: Any, changes: list[Change], document: Document, appointing: Appointing, actor: Actor, reason: str
) -> list[Mistake]:
    """Make the changes in the caller's transaction; what is refused, with its place. New superusers come first.

    Nobody changes their own role this way, and the last superuser keeps it.
    """
    mistakes = []
    for change in sorted(changes, key=lambda each: each.values["role"] != OperatorRole.SUPERUSER):
        entry = document.entries.get(change.id)
        try:
            async with connection.transaction():
                await _write(connection, change, appointing, actor, reason or _REASON)
        except Fault as fault:
            text = f"{fault} To keep the role, name {change.id[1]} in the file." if entry is None else str(fault)
            mistakes.append(Mistake(entry.place if entry else document.operators_place, text))
    return mistakes


async def _write(connection: Any, change: Change, appointing: Appointing, actor: Actor, reason: str) -> None:
    email, wanted = change.id[1], change.values["role"]
    if actor.id is not None and actor.name == email:
        raise Conflict(f"{email} is you: nobody changes their own role by a file.")
    settings = appointing.settings
    if await find_person(connection, email) is None:
        if not appointing.invite:
            known = [
                row["email"]
                for row in await connection.fetch(
                    "select email from users order by operator_role is null, id limit 2000"
                )
            ]
            raise Conflict(
                f"There is no user {email}: appoint them, or apply with --invite.{did_you_mean(email, known)}"
            )
        await create_person(connection, settings, actor, email=email, reason=reason)
    role = None if wanted == NO_ROLE else OperatorRole(wanted)
    await set_operator_role(connection, settings, actor, email=email, role=role, reason=reason)
