"""The organization's own page: its name, and who may change it."""

from dataclasses import dataclass
from typing import ClassVar

from starlette.responses import Response

from domain.access import Permission
from domain.faults import Fault
from domain.organizations import OrganizationRecord, fetch_organization
from domain.tenants import close_organization, rename_organization
from portal.web.layout import Page
from portal.web.own import fresh, to_proof
from portal.web.page import PageRoute, see_other
from portal.web.visit import Visit

PATH = "/o/{organization}/settings"


@dataclass(frozen=True, kw_only=True)
class OrganizationPage(Page):
    """`name` is what stands in the field: also one that was refused."""

    template: ClassVar[str] = "organization.html"
    record: OrganizationRecord
    name: str
    may_change: bool
    may_close: bool


async def show(visit: Visit) -> Page:
    """The organization as it is."""
    record = await fetch_organization(visit.connection, visit.access.organization_id)
    return _page(visit, record, record.name)


async def rename(visit: Visit) -> Page | Response:
    """Give it another name."""
    name = str(visit.form.get("name", ""))
    try:
        async with visit.change():
            await rename_organization(visit.connection, visit.access, visit.actor, name)
    except Fault as fault:
        record = await fetch_organization(visit.connection, visit.access.organization_id)
        return _page(visit, record, name, error=str(fault))
    return see_other(visit.request.url.path, done="saved")


async def close(visit: Visit) -> Page | Response:
    """Close it for good, by somebody who proved a short while ago who they are."""
    if not fresh(visit):
        return to_proof(f"/o/{visit.access.slug}/settings")
    try:
        async with visit.change():
            await close_organization(
                visit.connection, visit.access, visit.actor, str(visit.form.get("confirmation", ""))
            )
    except Fault as fault:
        record = await fetch_organization(visit.connection, visit.access.organization_id)
        return _page(visit, record, record.name, error=str(fault))
    return see_other("/organizations", done="organization_closed")


def _page(visit: Visit, record: OrganizationRecord, name: str, error: str = "") -> OrganizationPage:
    return OrganizationPage(
        title="Organization",
        record=record,
        name=name,
        may_change=visit.access.may(Permission.MANAGE),
        may_close=visit.access.may(Permission.OWN),
        error=error,
        status=422 if error else 200,
    )


PAGES = (
    PageRoute(PATH, show, permission=Permission.VIEW),
    PageRoute(PATH, rename, "POST", permission=Permission.MANAGE),
    PageRoute(f"{PATH}/close", close, "POST", permission=Permission.OWN),
)
