"""One person: memberships, how they sign in, where they are signed in."""

from dataclasses import dataclass
from typing import ClassVar

from admin.web.layout import Page
from admin.web.page import PageRoute
from admin.web.visit import Visit
from domain.back_office.people import PersonRecord, Place, SessionRecord, fetch_person, places_of, sessions_of
from domain.operators import Right


@dataclass(frozen=True, kw_only=True)
class UserPage(Page):
    """A person. `sessions` is None for who may not see how people sign in."""

    template: ClassVar[str] = "user.html"
    person: PersonRecord
    places: list[Place]
    sessions: list[SessionRecord] | None


async def show(visit: Visit, user_id: int) -> Page:
    """GET /users/{user_id}."""
    person = await fetch_person(visit.connection, user_id)
    sessions = await sessions_of(visit.connection, user_id) if visit.may(Right.LOOK_SIGN_INS) else None
    places = await places_of(visit.connection, user_id)
    return UserPage(title=person.name or person.email, person=person, places=places, sessions=sessions)


PAGES = (PageRoute("/users/{user_id:int}", show, right=Right.LOOK),)
