"""The page behind an invitation's link. Looking at it accepts nothing."""

from dataclasses import dataclass
from typing import ClassVar

from starlette.responses import Response

from domain.faults import Fault
from domain.invitations import Offer, accept, find_offer
from domain.roles import RoleInWords, roles_in_words
from portal.web.admission import Audience
from portal.web.layout import Page
from portal.web.page import PageRoute, see_other
from portal.web.refusals import refusal_status
from portal.web.visit import Visit

PATH = "/invitations/{token}"


@dataclass(frozen=True, kw_only=True)
class InvitationOfferPage(Page):
    """`signed_in_as` is the address of who looks, empty for nobody; `fits` says whether the invitation is theirs."""

    template: ClassVar[str] = "invitation.html"
    offer: Offer
    role: RoleInWords
    signed_in_as: str
    fits: bool


async def show(visit: Visit, token: str) -> Page:
    """What is offered, and to whom."""
    return _page(visit, await find_offer(visit.connection, token))


async def join(visit: Visit, token: str) -> Page | Response:
    """Accept it."""
    person = visit.person
    try:
        async with visit.change():
            offer = await accept(visit.connection, token, user_id=person.user_id, email=person.email, actor=visit.actor)
    except Fault as fault:
        return _page(visit, await find_offer(visit.connection, token), error=fault)
    return see_other(f"/o/{offer.slug}/team", done="invitation_accepted")


def _page(visit: Visit, offer: Offer, *, error: Fault | None = None) -> InvitationOfferPage:
    email = visit.session.email if visit.session else ""
    return InvitationOfferPage(
        title=f"Join {offer.organization}",
        status=refusal_status(error) if error else 200,
        error=str(error or ""),
        offer=offer,
        role=next(role for role in roles_in_words() if role.role == offer.role),
        signed_in_as=email,
        fits=email.lower() == offer.email,
    )


PAGES = (
    PageRoute(PATH, show, audience=Audience.ANYONE),
    PageRoute(PATH, join, "POST", audience=Audience.SIGNED_IN),
)
