"""A forgotten password: ask for the link, set a new one with it."""

from dataclasses import dataclass
from typing import ClassVar

from starlette.responses import Response

from domain.faults import Fault
from domain.identity.links import RESET, DeadLink, look_at
from domain.identity.resetting import checked_password
from portal.pages.sign_up import DeadLinkPage
from portal.web import doors
from portal.web.admission import Audience
from portal.web.layout import Page
from portal.web.page import PageRoute, see_other
from portal.web.signing_in import START, complete_sign_in
from portal.web.telling import told
from portal.web.visit import Visit


@dataclass(frozen=True, kw_only=True)
class ForgotPage(Page):
    """Which address?"""

    template: ClassVar[str] = "forgot.html"
    email: str = ""


@dataclass(frozen=True, kw_only=True)
class ForgotSentPage(Page):
    """Where to look now: the same for every address."""

    template: ClassVar[str] = "forgot_sent.html"


@dataclass(frozen=True, kw_only=True)
class ResetPage(Page):
    """The link was opened: a new password uses it."""

    template: ClassVar[str] = "reset.html"
    email: str


DEAD = DeadLinkPage(title="This link is not good any more", again="/forgot")


async def show(visit: Visit) -> Page:
    """GET /forgot."""
    return ForgotPage(title="Set a new password", email=visit.session.email if visit.session else "")


async def ask(visit: Visit) -> Response:
    """POST /forgot."""
    email = str(visit.form.get("email", ""))
    try:
        await doors.forgot(visit, email)
    except Fault as fault:
        return told(visit, ForgotPage(title="Set a new password", email=email), fault)
    return see_other("/forgot/sent")


async def sent(visit: Visit) -> Page:
    """GET /forgot/sent."""
    del visit
    return ForgotSentPage(title="Look into your mailbox")


async def open_link(visit: Visit, token: str) -> Page | Response:
    """GET /reset/{token}."""
    try:
        link = await look_at(visit.connection, token, RESET)
    except DeadLink as fault:
        return told(visit, DEAD, fault)
    return ResetPage(title="Set a new password", email=link.email)


async def use_link(visit: Visit, token: str) -> Response:
    """POST /reset/{token}."""
    pool = visit.services.database
    try:
        password_hash = await checked_password(pool, token, str(visit.form.get("password", "")))
        async with doors.changing(visit):
            user_id = await doors.reset(visit, token, password_hash)
            return await complete_sign_in(visit, user_id, next_path=f"{START}?done=password_set", how="reset password")
    except DeadLink as fault:
        return told(visit, DEAD, fault)
    except Fault as fault:
        link = await look_at(pool, token, RESET)
        return told(visit, ResetPage(title="Set a new password", email=link.email), fault)


PAGES = (
    PageRoute("/forgot", show, audience=Audience.ANYONE),
    PageRoute("/forgot", ask, "POST", audience=Audience.ANYONE, connected=False),
    PageRoute("/forgot/sent", sent, audience=Audience.ANYONE),
    PageRoute("/reset/{token}", open_link, audience=Audience.ANYONE),
    PageRoute("/reset/{token}", use_link, "POST", audience=Audience.ANYONE, connected=False),
)
