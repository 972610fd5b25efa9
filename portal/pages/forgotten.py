"""A forgotten password: ask for the link, set a new one with it."""

from dataclasses import dataclass, replace
from typing import Any, ClassVar

from starlette.responses import Response

from domain.faults import Fault
from domain.identity.links import RESET, DeadLink, look_at
from domain.identity.own_tokens import count_tokens
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
    """The link was opened: a new password uses it. `tokens` are good now; `end_tokens`: they are to be revoked with it."""

    template: ClassVar[str] = "reset.html"
    title: str = "Set a new password"
    email: str
    tokens: int
    end_tokens: bool = True


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
        return await _page(visit.connection, token)
    except DeadLink as fault:
        return told(visit, DEAD, fault)


async def use_link(visit: Visit, token: str) -> Response:
    """POST /reset/{token}."""
    pool, end_tokens = visit.services.database, "end_tokens" in visit.form
    try:
        password_hash = await checked_password(pool, token, str(visit.form.get("password", "")))
        async with doors.changing(visit):
            user_id = await doors.reset(visit, token, password_hash, end_tokens=end_tokens)
            return await complete_sign_in(visit, user_id, next_path=f"{START}?done=password_set", how="reset password")
    except DeadLink as fault:
        return told(visit, DEAD, fault)
    except Fault as fault:
        return told(visit, replace(await _page(pool, token), end_tokens=end_tokens), fault)


async def _page(connection: Any, token: str) -> ResetPage:
    link = await look_at(connection, token, RESET)
    return ResetPage(email=link.email, tokens=await count_tokens(connection, link.user_id))


PAGES = (
    PageRoute("/forgot", show, audience=Audience.ANYONE),
    PageRoute("/forgot", ask, "POST", audience=Audience.ANYONE, connected=False),
    PageRoute("/forgot/sent", sent, audience=Audience.ANYONE),
    PageRoute("/reset/{token}", open_link, audience=Audience.ANYONE),
    PageRoute("/reset/{token}", use_link, "POST", audience=Audience.ANYONE, connected=False),
)
