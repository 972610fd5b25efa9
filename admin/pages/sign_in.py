"""Signing in to the back office: password, then code; and signing out."""

import time
from dataclasses import dataclass
from typing import ClassVar

from starlette.responses import Response

from admin.web import signing_in
from admin.web.admission import Audience, working
from admin.web.cookies import SESSION
from admin.web.layout import Page
from admin.web.page import PageRoute, chosen, see_other
from admin.web.rendering import told
from admin.web.visit import Visit
from domain import audit
from domain.faults import Fault
from domain.identity.passwords_shown import WrongCredentials
from domain.identity.proof import WrongProof
from domain.identity.second_step import SpentSession, end_waiting, waiting_session
from domain.identity.sessions import ADMIN, end_session
from domain.identity.throttle import at_least
from portal.web.cookies import clear_cookie

EVEN_SECONDS = 0.2
"""A wrong sign-in takes at least this long, whoever it was of (case A5)."""


@dataclass(frozen=True, kw_only=True)
class SignInPage(Page):
    """Asks for address and password."""

    template: ClassVar[str] = "sign_in.html"
    title: str = "Sign in"
    next_path: str
    email: str = ""


@dataclass(frozen=True, kw_only=True)
class CodePage(Page):
    """Asks for the code of the second factor."""

    template: ClassVar[str] = "second_step.html"
    title: str = "Enter your code"
    next_path: str


async def show(visit: Visit) -> Page | Response:
    """GET /sign-in."""
    next_path = signing_in.safe_next(chosen(visit, "next"))
    return see_other(next_path) if visit.signed_in else SignInPage(next_path=next_path)


async def enter(visit: Visit) -> Response:
    """POST /sign-in."""
    begin = time.monotonic()
    email, next_path = visit.text("email"), signing_in.safe_next(visit.form.get("next"))
    try:
        user_id = await signing_in.check_password(visit, email, str(visit.form.get("password", "")))
    except Fault as fault:
        if isinstance(fault, WrongCredentials):
            await at_least(EVEN_SECONDS, begin)
        return told(visit, SignInPage(next_path=next_path, email=email), fault)
    async with working(visit, changes=True):
        return await signing_in.complete(visit, user_id, next_path=next_path, how="password")


async def show_code(visit: Visit) -> Page:
    """GET /sign-in/factor."""
    await waiting_session(visit.connection, visit.session_token, ADMIN)
    return CodePage(next_path=signing_in.safe_next(chosen(visit, "next")))


async def enter_code(visit: Visit) -> Page | Response:
    """POST /sign-in/factor."""
    next_path = signing_in.safe_next(visit.form.get("next"))
    async with working(visit, changes=True):
        waiting = await waiting_session(visit.connection, visit.session_token, ADMIN)
        try:
            async with visit.change():
                how = await signing_in.take_code(visit, waiting, visit.text("code"))
        except SpentSession:
            await end_waiting(visit.connection, waiting)
            return see_other("/sign-in", done="too_many_codes")
        except Fault as fault:
            if isinstance(fault, WrongProof):
                await signing_in.note_wrong_code(visit, waiting)
            return told(visit, CodePage(next_path=next_path), fault)
        return await signing_in.complete(visit, waiting.user_id, next_path=next_path, how=how, factor_shown=True)


async def leave(visit: Visit) -> Response:
    """POST /sign-out."""
    if visit.signed_in is not None:
        await end_session(visit.connection, visit.session_token)
        thing = audit.Thing("user", str(visit.operator.id), visit.operator.email)
        await audit.record(visit.connection, visit.actor, audit.Verb.ACCOUNT_SIGN_OUT, thing)
    response = see_other("/sign-in", done="signed_out")
    clear_cookie(response, visit.settings.admin, SESSION)
    return response


PAGES = (
    PageRoute("/sign-in", show, audience=Audience.ANYONE),
    PageRoute("/sign-in", enter, "POST", audience=Audience.ANYONE, connected=False),
    PageRoute(signing_in.FACTOR, show_code, audience=Audience.ANYONE),
    PageRoute(signing_in.FACTOR, enter_code, "POST", audience=Audience.ANYONE, connected=False),
    PageRoute("/sign-out", leave, "POST", audience=Audience.ANYONE),
)
