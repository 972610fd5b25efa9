"""How a person signs in: address, password, authenticator."""

from dataclasses import dataclass, replace
from typing import ClassVar

from starlette.responses import Response

from domain.faults import Fault
from domain.identity.links import CHANGE_EMAIL, look_at
from domain.identity.own_email import ask_to_change_email, cancel_email_change, confirm_email
from domain.identity.own_password import change_password
from domain.identity.profiles import Profile, fetch_profile
from portal.pages.account import AccountPage
from portal.web.admission import Audience
from portal.web.layout import Page
from portal.web.own import fresh, give_session, own_session, to_proof
from portal.web.page import PageRoute, see_other
from portal.web.telling import told
from portal.web.visit import Visit

PATH = "/account/security"


@dataclass(frozen=True, kw_only=True)
class SecurityPage(AccountPage):
    """`email` is what stands in the field; `fresh`: grave changes are possible without proving again."""

    template: ClassVar[str] = "account_security.html"
    tab: ClassVar[str] = PATH
    profile: Profile
    fresh: bool
    email: str = ""


@dataclass(frozen=True, kw_only=True)
class ConfirmEmailPage(Page):
    """One button: mail scanners open links."""

    template: ClassVar[str] = "confirm_email.html"
    title: str = "Confirm your new address"
    email: str


async def show(visit: Visit) -> Page:
    """All three."""
    return await security_page(visit)


async def ask_email(visit: Visit) -> Page | Response:
    """Mail the link to the new address."""
    if not fresh(visit):
        return to_proof(PATH)
    session, email = own_session(visit), str(visit.form.get("email", ""))
    try:
        async with visit.change():
            await ask_to_change_email(
                visit.connection, visit.services.throttle, visit.settings, session, visit.actor, email
            )
    except Fault as fault:
        return told(visit, replace(await security_page(visit), email=email), fault)
    return see_other(PATH, done="email_link_sent")


async def cancel_email(visit: Visit) -> Response:
    """Keep the address."""
    await cancel_email_change(visit.connection, own_session(visit).user_id, visit.actor)
    return see_other(PATH, done="email_change_cancelled")


async def set_password(visit: Visit) -> Page | Response:
    """Change the password, or set the first one."""
    session, form = own_session(visit), visit.form
    profile = await fetch_profile(visit.connection, session.user_id)
    if not fresh(visit) and (profile.factor_since or not profile.has_password):
        return to_proof(PATH)
    try:
        async with visit.change():
            token = await change_password(
                visit.connection,
                visit.services.throttle,
                visit.settings,
                session,
                visit.actor,
                old=str(form.get("old", "")),
                new=str(form.get("new", "")),
            )
    except Fault as fault:
        return told(visit, await security_page(visit), fault)
    response = see_other(PATH, done="password_changed")
    give_session(visit, response, token.text)
    return response


async def show_link(visit: Visit, token: str) -> Page:
    """What the mailed link will do."""
    link = await look_at(visit.connection, token, CHANGE_EMAIL)
    return ConfirmEmailPage(email=link.email)


async def use_link(visit: Visit, token: str) -> Response:
    """Take the new address."""
    await confirm_email(visit.connection, visit.settings, token, visit.actor)
    return see_other(PATH if visit.session else "/sign-in", done="email_changed")


async def security_page(visit: Visit) -> SecurityPage:
    """The page as things are."""
    return SecurityPage(profile=await fetch_profile(visit.connection, own_session(visit).user_id), fresh=fresh(visit))


PAGES = (
    PageRoute(PATH, show, audience=Audience.SIGNED_IN),
    PageRoute("/account/email", ask_email, "POST", audience=Audience.SIGNED_IN),
    PageRoute("/account/email/cancel", cancel_email, "POST", audience=Audience.SIGNED_IN),
    PageRoute("/account/email/{token}", show_link, audience=Audience.ANYONE),
    PageRoute("/account/email/{token}", use_link, "POST", audience=Audience.ANYONE),
    PageRoute("/account/password", set_password, "POST", audience=Audience.SIGNED_IN),
)
