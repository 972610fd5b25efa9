"""The second step of a sign-in: a code of the authenticator, or a recovery code."""

from dataclasses import dataclass
from typing import ClassVar

from starlette.responses import Response

from domain.faults import Fault
from domain.identity.proof import WrongProof
from domain.identity.second_step import SpentSession, end_waiting, waiting_session
from portal.web.admission import Audience
from portal.web.layout import Page
from portal.web.page import PageRoute, see_other
from portal.web.second_step import note_wrong, take
from portal.web.signing_in import FACTOR, complete_sign_in, safe_next
from portal.web.telling import told
from portal.web.visit import Visit


@dataclass(frozen=True, kw_only=True)
class SecondStepPage(Page):
    """Asks for the code."""

    template: ClassVar[str] = "second_step.html"
    title: str = "Enter your code"
    next: str


async def show(visit: Visit) -> Page:
    """The form, for a browser in which a sign-in waits."""
    await waiting_session(visit.connection, visit.session_token)
    return _page(visit)


async def finish(visit: Visit) -> Page | Response:
    """Check the code; then the real session begins."""
    waiting = await waiting_session(visit.connection, visit.session_token)
    try:
        async with visit.change():
            how = await take(visit, waiting, str(visit.form.get("code", "")))
    except SpentSession:
        await end_waiting(visit.connection, waiting)
        return see_other("/sign-in", done="too_many_codes")
    except WrongProof as fault:
        await note_wrong(visit, waiting)
        return told(visit, _page(visit), fault)
    except Fault as fault:
        return told(visit, _page(visit), fault)
    return await complete_sign_in(visit, waiting.user_id, next_path=_next(visit), how=how, factor_shown=True)


def _next(visit: Visit) -> str:
    return safe_next(visit.form.get("next") or visit.request.query_params.get("next"))


def _page(visit: Visit) -> SecondStepPage:
    return SecondStepPage(next=_next(visit))


PAGES = (
    PageRoute(FACTOR, show, audience=Audience.ANYONE),
    PageRoute(FACTOR, finish, "POST", audience=Audience.ANYONE),
)
