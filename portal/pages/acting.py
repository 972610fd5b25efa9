"""An operator acts as a customer: the page that a link of the back office opens, and stopping.

Opening the link changes nothing, so what fetches links in advance begins nothing, and no other site can make a browser
begin: that takes a form of this page.
"""

from dataclasses import dataclass
from typing import ClassVar

from starlette.responses import Response

from domain.identity.acting import Offer, begin_acting, end_acting, read_offer
from domain.identity.acting_links import LIVES_SECONDS, ActingLink, look_at_acting_link, use_acting_link
from domain.identity.links import DeadLink
from domain.identity.sessions import end_session
from portal.web.admission import Audience
from portal.web.cookies import SESSION, clear_cookie, set_cookie
from portal.web.layout import Page
from portal.web.page import PageRoute, see_other
from portal.web.rendering import render
from portal.web.telling import told
from portal.web.visit import Visit

PATH = "/acting/{token}"


@dataclass(frozen=True, kw_only=True)
class BeginActingPage(Page):
    """Who would act as whom. `takes` is the address of who is signed in to the portal here and would be no more."""

    template: ClassVar[str] = "acting.html"
    offer: Offer
    takes: str


@dataclass(frozen=True, kw_only=True)
class DeadActingPage(Page):
    """The link is used, too old, or of another browser."""

    template: ClassVar[str] = "acting_dead.html"
    title: str = "This link is not good any more"
    seconds: int = LIVES_SECONDS


async def show(visit: Visit, token: str) -> Response:
    """GET /acting/{token}: what the link would do."""
    try:
        link = await look_at_acting_link(visit.services.redis, token, visit.user_agent)
    except DeadLink as fault:
        return _unseen(told(visit, DeadActingPage(), fault))
    offer = await _offer(visit, link)
    takes = visit.session.email if visit.session else ""
    page = BeginActingPage(title=f"Act as {offer.organization_name}", offer=offer, takes=takes)
    return _unseen(render(visit, page))


async def begin(visit: Visit, token: str) -> Response:
    """POST /acting/{token}: use the link, whatever comes of it."""
    try:
        link = await use_acting_link(visit.services.redis, token, visit.user_agent)
    except DeadLink as fault:
        return told(visit, DeadActingPage(), fault)
    offer = await _offer(visit, link)
    if visit.session is not None and visit.session.acting:
        await end_acting(visit.connection, visit.session, visit.actor, why="began to act anew")
    elif visit.session_token:
        await end_session(visit.connection, visit.session_token)
    made = await begin_acting(
        visit.connection,
        offer,
        reason=link.reason,
        address=visit.address,
        user_agent=visit.user_agent,
        request_id=visit.request_id,
    )
    response = see_other(f"/o/{offer.slug}")
    set_cookie(response, visit.settings.portal, SESSION, made.text, seconds=offer.minutes * 60)
    return response


async def stop(visit: Visit) -> Response:
    """POST /stop-acting."""
    if visit.session is not None:
        await end_acting(visit.connection, visit.session, visit.actor)
    response = see_other("/sign-in", done="acting_ended")
    if visit.session is None or visit.session.acting is not None:
        clear_cookie(response, visit.settings.portal, SESSION)
    return response


async def _offer(visit: Visit, link: ActingLink) -> Offer:
    return await read_offer(visit.connection, link, most_minutes=visit.settings.admin.acting_minutes)


def _unseen(response: Response) -> Response:
    """The page's address holds the token: no other page is told of it."""
    response.headers["referrer-policy"] = "strict-origin"
    return response


PAGES = (
    PageRoute(PATH, show, audience=Audience.ANYONE, acting=True),
    PageRoute(PATH, begin, "POST", audience=Audience.ANYONE, acting=True),
    PageRoute("/stop-acting", stop, "POST", audience=Audience.ANYONE, acting=True),
)
