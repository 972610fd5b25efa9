"""Signing up: the form, the mail that is on its way, and the link that proves the mailbox."""

from dataclasses import dataclass
from typing import ClassVar

from starlette.responses import Response

from domain.faults import Fault
from domain.identity.links import VERIFY, DeadLink, look_at
from domain.identity.signing_up import prove_mailbox
from portal.web import doors
from portal.web.admission import Audience
from portal.web.layout import Page
from portal.web.page import PageRoute, see_other
from portal.web.signing_in import START, complete_sign_in, safe_next
from portal.web.telling import told
from portal.web.visit import Visit


@dataclass(frozen=True, kw_only=True)
class SignUpPage(Page):
    """The form with what was typed, but for the password."""

    template: ClassVar[str] = "sign_up.html"
    open: bool
    next_path: str
    email: str = ""
    organization: str = ""


@dataclass(frozen=True, kw_only=True)
class SentPage(Page):
    """Where to look now."""

    template: ClassVar[str] = "sign_up_sent.html"


@dataclass(frozen=True, kw_only=True)
class ConfirmPage(Page):
    """The link was opened: the password uses it. Opening alone does nothing, as mail scanners do that too."""

    template: ClassVar[str] = "confirm_address.html"
    email: str


@dataclass(frozen=True, kw_only=True)
class DeadLinkPage(Page):
    """What to do with a link that is not good any more; `again` is where to get another one."""

    template: ClassVar[str] = "dead_link.html"
    again: str


DEAD = DeadLinkPage(title="This link is not good any more", again="/sign-up/sent")


async def show(visit: Visit) -> Page | Response:
    """GET /sign-up."""
    if visit.session is not None:
        return see_other(safe_next(visit.request.query_params.get("next")))
    return _form(visit, safe_next(visit.request.query_params.get("next")))


async def ask(visit: Visit) -> Page | Response:
    """POST /sign-up."""
    email, organization = str(visit.form.get("email", "")), str(visit.form.get("organization", ""))
    next_path = safe_next(visit.form.get("next"))
    then = "" if next_path == START else next_path
    try:
        await doors.sign_up(visit, email, str(visit.form.get("password", "")), organization, then)
    except Fault as fault:
        return told(visit, _form(visit, next_path, email, organization), fault)
    return see_other("/sign-up/sent")


async def sent(visit: Visit) -> Page:
    """GET /sign-up/sent."""
    del visit
    return SentPage(title="Look into your mailbox")


async def send_again(visit: Visit) -> Page | Response:
    """POST /sign-up/sent."""
    try:
        await doors.send_again(visit, str(visit.form.get("email", "")))
    except Fault as fault:
        return told(visit, SentPage(title="Look into your mailbox"), fault)
    return see_other("/sign-up/sent", done="sent_again")


async def open_link(visit: Visit, token: str) -> Page | Response:
    """GET /verify/{token}."""
    try:
        link = await look_at(visit.connection, token, VERIFY)
    except DeadLink as fault:
        return told(visit, DEAD, fault)
    return ConfirmPage(title="Confirm your address", email=link.email)


async def use_link(visit: Visit, token: str) -> Page | Response:
    """POST /verify/{token}."""
    try:
        stored = await doors.check_confirmation(visit, token, str(visit.form.get("password", "")))
        async with doors.changing(visit):
            user_id = await prove_mailbox(visit.connection, visit.settings, token, stored, visit.actor)
            then = safe_next(visit.request.query_params.get("next"))
            next_path = f"{START}?done=address_confirmed" if then == START else then
            return await complete_sign_in(visit, user_id, next_path=next_path, how="confirmed address")
    except DeadLink as fault:
        return told(visit, DEAD, fault)
    except Fault as fault:
        link = await look_at(visit.services.database, token, VERIFY)
        return told(visit, ConfirmPage(title="Confirm your address", email=link.email), fault)


def _form(visit: Visit, next_path: str, email: str = "", organization: str = "") -> SignUpPage:
    opened = visit.settings.portal.sign_up_open
    return SignUpPage(title="Sign up", open=opened, next_path=next_path, email=email, organization=organization)


PAGES = (
    PageRoute("/sign-up", show, audience=Audience.ANYONE),
    PageRoute("/sign-up", ask, "POST", audience=Audience.ANYONE, connected=False),
    PageRoute("/sign-up/sent", sent, audience=Audience.ANYONE),
    PageRoute("/sign-up/sent", send_again, "POST", audience=Audience.ANYONE, connected=False),
    PageRoute("/verify/{token}", open_link, audience=Audience.ANYONE),
    PageRoute("/verify/{token}", use_link, "POST", audience=Audience.ANYONE, connected=False),
)
