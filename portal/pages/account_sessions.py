"""The browsers in which a person is signed in."""

from dataclasses import dataclass
from datetime import timedelta
from typing import ClassVar
from uuid import UUID

from starlette.responses import Response

from domain.identity.own_sessions import OwnSession, end_one, end_others, list_sessions
from portal.pages.account import AccountPage
from portal.web.admission import Audience
from portal.web.cookies import SESSION, clear_cookie
from portal.web.layout import Page
from portal.web.own import own_session
from portal.web.page import PageRoute, see_other
from portal.web.visit import Visit

PATH = "/account/sessions"


@dataclass(frozen=True, kw_only=True)
class SessionsPage(AccountPage):
    """All live ones, this one first."""

    template: ClassVar[str] = "account_sessions.html"
    tab: ClassVar[str] = PATH
    sessions: list[OwnSession]


async def show(visit: Visit) -> Page:
    """All of them."""
    idle = timedelta(hours=visit.settings.portal.session_idle_hours)
    return SessionsPage(sessions=await list_sessions(visit.connection, own_session(visit), idle=idle))


async def end(visit: Visit, session_id: UUID) -> Response:
    """Sign one out; this one too, if it is meant."""
    session = own_session(visit)
    await end_one(visit.connection, session, visit.actor, session_id)
    if session_id != session.id:
        return see_other(PATH, done="session_ended")
    response = see_other("/sign-in", done="signed_out")
    clear_cookie(response, visit.settings.portal, SESSION)
    return response


async def end_all_others(visit: Visit) -> Response:
    """Sign every other one out."""
    await end_others(visit.connection, own_session(visit), visit.actor)
    return see_other(PATH, done="sessions_ended")


PAGES = (
    PageRoute(PATH, show, audience=Audience.SIGNED_IN),
    PageRoute("/account/sessions/{session_id:uuid}/end", end, "POST", audience=Audience.SIGNED_IN),
    PageRoute("/account/sessions/end-others", end_all_others, "POST", audience=Audience.SIGNED_IN),
)
