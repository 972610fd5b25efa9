"""Erasing a person on an operator's word: at once, by the rule of the portal's own deletion, in the caller's transaction."""

from dataclasses import dataclass
from typing import Any

from domain import audit
from domain.faults import Conflict, InvalidValue, NotFound
from domain.identity.deletion import alone_in, erase, hold, sole_ownerships
from domain.operating.people import Person, fetch_person
from domain.settings import Settings

_OPERATOR = "select operator_role is not null or admin or superuser from users where id = $1"
_OTHERS = """
select o.name from membership m join organization o on o.id = m.organization_id and o.state <> 'closed'
 where m.user_id = $1 and exists (select from membership x where x.organization_id = o.id and x.user_id <> $1)
 order by lower(o.name)
"""
_HAND_OVER = """
update membership m set role = 'owner' from users u, membership was
 where m.organization_id = $1 and u.id = m.user_id and u.email = $2 and u.active and was.id = m.id
returning u.id, was.role
"""


@dataclass(frozen=True, slots=True)
class Prospect:
    """What erasing a person does: organizations by name that are closed, that go on without them, that get a new owner."""

    person: Person
    closes: list[str]
    leaves: list[str]
    hands_over: list[str]


async def look_at(connection: Any, email: str, *, successor: str = "") -> Prospect:
    """Only read what `erase_person` would do. Raises what that raises, save for a successor who is no member."""
    person = await fetch_person(connection, email)
    if await connection.fetchval(_OPERATOR, person.id):
        raise Conflict(
            f"{person.email} is an operator: dismiss them first (`paid-endpoint operators dismiss {person.email}`)."
        )
    held = [name for _, name in await sole_ownerships(connection, person.id)]
    _check_successor(person.email, held, successor)
    closes = [name for _, name in await alone_in(connection, person.id)]
    leaves = [row["name"] for row in await connection.fetch(_OTHERS, person.id)]
    return Prospect(person, closes, leaves, held)


async def erase_person(
    connection: Any, settings: Settings, actor: audit.Actor, *, email: str, reason: str, successor: str = ""
) -> Prospect:
    """Erase somebody for good; what was done. `successor` becomes the owner where they are the only one among others.

    Raises NotFound; InvalidValue without a reason; Conflict for an operator, for the only owner of an organization with
    other members where no successor is named, and for a successor who is no active member or is not needed.
    """
    if not reason.strip():
        raise InvalidValue("Say why: the reason stands in the audit.")
    person = await fetch_person(connection, email)
    if not await hold(connection, person.id):
        raise NotFound(f"There is no user {person.email}.")
    found = await look_at(connection, person.email, successor=successor)
    for organization_id, name in await sole_ownerships(connection, person.id):
        heir = await connection.fetchrow(_HAND_OVER, organization_id, successor.strip().lower())
        if heir is None:
            raise Conflict(
                f"{successor} is no active member of {name}: the organization cannot be handed over to them."
            )
        await audit.record(
            connection,
            actor,
            audit.Verb.ORGANIZATION_TRANSFER,
            audit.Thing("member", str(heir["id"]), successor.strip().lower()),
            organization_id=organization_id,
            before={"owner": person.email, "role": heir["role"]},
            after={"owner": successor.strip().lower()},
            reason=reason,
        )
    await erase(connection, settings.secrets, person.id, person.email, actor, reason=reason.strip())
    return found


def _check_successor(email: str, held: list[str], successor: str) -> None:
    if held and not successor.strip():
        raise Conflict(
            f"{email} is the only owner of {', '.join(held)}, which has other members. Let them hand it over in the portal"
            " (team, make owner), or name a member who becomes the owner as the successor."
        )
    if successor.strip() and not held:
        raise Conflict(f"{email} is nowhere the only owner among other members: no successor is needed.")
