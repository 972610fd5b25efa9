"""Deleting one's account, and changing one's mind."""

from dataclasses import dataclass
from typing import ClassVar

from starlette.responses import Response

from domain.faults import Fault
from domain.identity.deletion import keep_account, keep_by_link, request_deletion
from domain.identity.links import KEEP_ACCOUNT, look_at
from portal.pages.account import AccountPage
from portal.web.admission import Audience
from portal.web.layout import Page
from portal.web.own import fresh, own_session, to_proof
from portal.web.page import PageRoute, see_other
from portal.web.telling import told
from portal.web.visit import Visit

PATH = "/account/deletion"


@dataclass(frozen=True, kw_only=True)
class DeletionPage(AccountPage):
    """What will happen, and when."""

    template: ClassVar[str] = "account_deletion.html"
    tab: ClassVar[str] = PATH
    days: int
    fresh: bool


@dataclass(frozen=True, kw_only=True)
class KeepPage(Page):
    """One button: mail scanners open links."""

    template: ClassVar[str] = "keep_account.html"
    title: str = "Keep your account"
    email: str


async def show(visit: Visit) -> Page:
    """What deleting means."""
    return _page(visit)


async def ask(visit: Visit) -> Page | Response:
    """Delete it after the days of grace."""
    if not fresh(visit):
        return to_proof(PATH)
    try:
        async with visit.change():
            await request_deletion(visit.connection, visit.settings, own_session(visit), visit.actor)
    except Fault as fault:
        return told(visit, _page(visit), fault)
    return see_other(PATH)


async def keep(visit: Visit) -> Response:
    """Keep it after all."""
    await keep_account(visit.connection, own_session(visit).user_id, visit.actor)
    return see_other("/account", done="account_kept")


async def show_link(visit: Visit, token: str) -> Page:
    """What the mailed link will do."""
    return KeepPage(email=(await look_at(visit.connection, token, KEEP_ACCOUNT)).email)


async def use_link(visit: Visit, token: str) -> Response:
    """Keep it by the mailed link."""
    await keep_by_link(visit.connection, token, visit.actor)
    return see_other("/account" if visit.session else "/sign-in", done="account_kept")


def _page(visit: Visit) -> DeletionPage:
    own_session(visit)
    return DeletionPage(days=visit.settings.portal.deletion_days, fresh=fresh(visit))


PAGES = (
    PageRoute(PATH, show, audience=Audience.SIGNED_IN),
    PageRoute(PATH, ask, "POST", audience=Audience.SIGNED_IN),
    PageRoute("/account/keep", keep, "POST", audience=Audience.SIGNED_IN),
    PageRoute("/account/keep/{token}", show_link, audience=Audience.ANYONE),
    PageRoute("/account/keep/{token}", use_link, "POST", audience=Audience.ANYONE),
)
