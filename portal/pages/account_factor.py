"""Setting up an authenticator, its recovery codes, and switching it off."""

from dataclasses import dataclass
from typing import ClassVar

from starlette.responses import Response

from domain.faults import Fault
from domain.identity.authenticators import (
    NewFactor,
    begin_factor,
    confirm_factor,
    disable_factor,
    pending_factor,
    renew_codes,
)
from portal.pages.account import AccountPage
from portal.pages.account_security import PATH as SECURITY
from portal.web.admission import Audience
from portal.web.layout import Page
from portal.web.own import fresh, own_session, proven_session, to_proof
from portal.web.page import PageRoute, see_other
from portal.web.telling import told
from portal.web.visit import Visit

PATH = "/account/factor"


@dataclass(frozen=True, kw_only=True)
class FactorPage(AccountPage):
    """The secret, until its first code has been entered."""

    template: ClassVar[str] = "account_factor.html"
    tab: ClassVar[str] = SECURITY
    title: str = "Set up an authenticator"
    factor: NewFactor


@dataclass(frozen=True, kw_only=True)
class CodesPage(AccountPage):
    """Recovery codes, this once."""

    template: ClassVar[str] = "account_codes.html"
    tab: ClassVar[str] = SECURITY
    title: str = "Your recovery codes"
    codes: list[str]


async def show(visit: Visit) -> Page | Response:
    """The secret that waits for its first code."""
    if not fresh(visit):
        return to_proof(PATH)
    return await _page(visit) or see_other(SECURITY)


async def begin(visit: Visit) -> Response:
    """Make a new secret."""
    if not fresh(visit):
        return to_proof(SECURITY)
    session = proven_session(visit)
    product = visit.settings.portal.name
    await begin_factor(visit.connection, visit.settings.secrets, session.user_id, session.email, product, visit.actor)
    return see_other(PATH)


async def confirm(visit: Visit) -> Page | Response:
    """Put it in force by its first code and show the recovery codes."""
    if not fresh(visit):
        return to_proof(PATH)
    session = proven_session(visit)
    code = str(visit.form.get("code", ""))
    try:
        async with visit.change():
            codes = await confirm_factor(visit.connection, visit.settings.secrets, session, visit.actor, code)
    except Fault as fault:
        page = await _page(visit)
        return told(visit, page, fault) if page else see_other(SECURITY)
    return CodesPage(codes=codes)


async def renew(visit: Visit) -> Page | Response:
    """New recovery codes."""
    if not fresh(visit):
        return to_proof(SECURITY)
    return CodesPage(codes=await renew_codes(visit.connection, proven_session(visit).user_id, visit.actor))


async def switch_off(visit: Visit) -> Response:
    """No second step any more."""
    if not fresh(visit):
        return to_proof(SECURITY)
    await disable_factor(visit.connection, visit.settings.secrets, proven_session(visit).user_id, visit.actor)
    return see_other(SECURITY, done="factor_off")


async def _page(visit: Visit) -> FactorPage | None:
    session = own_session(visit)
    factor = await pending_factor(
        visit.connection, visit.settings.secrets, session.user_id, session.email, visit.settings.portal.name
    )
    return FactorPage(factor=factor) if factor else None


PAGES = (
    PageRoute(PATH, show, audience=Audience.SIGNED_IN),
    PageRoute(PATH, begin, "POST", audience=Audience.SIGNED_IN),
    PageRoute("/account/factor/confirm", confirm, "POST", audience=Audience.SIGNED_IN),
    PageRoute("/account/factor/codes", renew, "POST", audience=Audience.SIGNED_IN),
    PageRoute("/account/factor/off", switch_off, "POST", audience=Audience.SIGNED_IN),
)
