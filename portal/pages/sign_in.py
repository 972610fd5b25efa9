"""Signing in with a password, and signing out."""

from dataclasses import dataclass
from typing import ClassVar
from urllib.parse import quote

from starlette.responses import Response

from domain.faults import Fault
from portal.web import doors
from portal.web.admission import Audience
from portal.web.cookies import SESSION, clear_cookie
from portal.web.layout import Page
from portal.web.page import PageRoute, see_other
from portal.web.signing_in import START, complete_sign_in, safe_next
from portal.web.telling import told
from portal.web.visit import Visit


@dataclass(frozen=True, kw_only=True)
class SignInPage(Page):
    """The form. `elsewhere` are the names of other accounts that sign in, each with its path."""

    template: ClassVar[str] = "sign_in.html"
    next_path: str
    elsewhere: tuple[tuple[str, str], ...]
    email: str = ""


async def show(visit: Visit) -> Page | Response:
    """GET /sign-in."""
    next_path = safe_next(visit.request.query_params.get("next"))
    return see_other(next_path) if visit.session is not None else _form(visit, next_path)


async def enter(visit: Visit) -> Response:
    """POST /sign-in."""
    email, next_path = str(visit.form.get("email", "")), safe_next(visit.form.get("next"))
    try:
        user_id = await doors.sign_in(visit, email, str(visit.form.get("password", "")))
    except Fault as fault:
        return told(visit, _form(visit, next_path, email), fault)
    async with doors.changing(visit):
        return await complete_sign_in(visit, user_id, next_path=next_path, how="password")


async def leave(visit: Visit) -> Response:
    """POST /sign-out."""
    await doors.sign_out(visit)
    response = see_other("/sign-in", done="signed_out")
    clear_cookie(response, visit.settings.portal, SESSION)
    return response


def _form(visit: Visit, next_path: str, email: str = "") -> SignInPage:
    offered = visit.settings.sign_in
    query = "" if next_path == START else f"?next={quote(next_path, safe='/')}"
    ways = (("Google", "google", offered.google_client_id), ("GitHub", "github", offered.github_client_id))
    elsewhere = tuple((name, f"/sign-in/{path}{query}") for name, path, client in ways if client)
    return SignInPage(title="Sign in", next_path=next_path, elsewhere=elsewhere, email=email)


PAGES = (
    PageRoute("/sign-in", show, audience=Audience.ANYONE, acting=True),
    PageRoute("/sign-in", enter, "POST", audience=Audience.ANYONE, connected=False),
    PageRoute("/sign-out", leave, "POST", audience=Audience.ANYONE, acting=True),
)
