"""The organizations of who is signed in, and one more."""

from dataclasses import dataclass
from typing import ClassVar

from starlette.responses import Response

from domain.faults import Fault
from domain.sign_up import MOST_ORGANIZATIONS, found
from portal.web.admission import Audience
from portal.web.done import DONE
from portal.web.layout import Page
from portal.web.page import PageRoute, see_other
from portal.web.telling import told
from portal.web.visit import Visit


@dataclass(frozen=True, kw_only=True)
class OrganizationsPage(Page):
    """Which one? The list itself stands in the layout."""

    template: ClassVar[str] = "organizations.html"


@dataclass(frozen=True, kw_only=True)
class NewOrganizationPage(Page):
    """The form with what was typed."""

    template: ClassVar[str] = "new_organization.html"
    name: str = ""
    most: int = MOST_ORGANIZATIONS


async def show(visit: Visit) -> Page | Response:
    """GET /organizations: straight on for who has exactly one."""
    done = visit.request.query_params.get("done", "")
    if len(visit.accesses) == 1:
        return see_other(f"/o/{visit.accesses[0].slug}", done=done if done in DONE else "")
    return OrganizationsPage(title="Organizations")


async def show_form(visit: Visit) -> Page:
    """GET /organizations/new."""
    del visit
    return NewOrganizationPage(title="New organization")


async def create(visit: Visit) -> Response:
    """POST /organizations/new."""
    name = str(visit.form.get("name", ""))
    try:
        async with visit.change():
            made = await found(visit.connection, visit.settings, visit.actor, name=name)
    except Fault as fault:
        return told(visit, NewOrganizationPage(title="New organization", name=name), fault)
    return see_other(f"/o/{made.slug}", done="organization_created")


PAGES = (
    PageRoute("/organizations", show, audience=Audience.SIGNED_IN, acting=True),
    PageRoute("/organizations/new", show_form, audience=Audience.SIGNED_IN),
    PageRoute("/organizations/new", create, "POST", audience=Audience.SIGNED_IN),
)
