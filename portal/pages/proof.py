"""Proving again who one is, before a grave change."""

from dataclasses import dataclass
from typing import ClassVar

from starlette.responses import Response

from domain.faults import Fault
from domain.identity.profiles import Profile, fetch_profile
from domain.identity.proof import prove
from portal.web.admission import Audience
from portal.web.layout import Page
from portal.web.own import give_session, own_session
from portal.web.page import PageRoute, see_other
from portal.web.signing_in import safe_next
from portal.web.telling import told
from portal.web.visit import Visit

START = "/account"


@dataclass(frozen=True, kw_only=True)
class ProofPage(Page):
    """Asks for the password and the code, for whichever there is; where there is neither, for a sign-in elsewhere."""

    template: ClassVar[str] = "proof.html"
    title: str = "Confirm that it is you"
    profile: Profile
    next: str


async def show(visit: Visit) -> Page:
    """What is asked."""
    return await _page(visit)


async def answer(visit: Visit) -> Page | Response:
    """Check it and go on, in a session under a new token."""
    form, session = visit.form, own_session(visit)
    try:
        async with visit.change():
            token = await prove(
                visit.connection,
                visit.services.throttle,
                visit.settings.secrets,
                session,
                visit.actor,
                password=str(form.get("password", "")),
                code=str(form.get("code", "")),
            )
    except Fault as fault:
        return told(visit, await _page(visit), fault)
    response = see_other(_back(visit))
    give_session(visit, response, token.text)
    return response


def _back(visit: Visit) -> str:
    given = visit.form.get("next") or visit.request.query_params.get("next") or START
    return safe_next(given)


async def _page(visit: Visit) -> ProofPage:
    profile = await fetch_profile(visit.connection, own_session(visit).user_id)
    return ProofPage(profile=profile, next=_back(visit))


PAGES = (
    PageRoute("/prove", show, audience=Audience.SIGNED_IN),
    PageRoute("/prove", answer, "POST", audience=Audience.SIGNED_IN),
)
