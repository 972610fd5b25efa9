"""The catalog of services: cards by category, and a service with its operations at this organization's prices."""

from dataclasses import dataclass
from typing import ClassVar

from domain.access import Permission
from domain.service_catalog import CatalogService, fetch_from_catalog, list_catalog
from portal.web.layout import Page
from portal.web.page import PageRoute
from portal.web.visit import Visit

PATH = "/o/{organization}/services"


@dataclass(frozen=True, kw_only=True)
class ServicesPage(Page):
    """Services by category, in the catalog's order, featured ones first in each."""

    template: ClassVar[str] = "services.html"
    root: str
    categories: tuple[tuple[str, tuple[CatalogService, ...]], ...]


@dataclass(frozen=True, kw_only=True)
class ServicePage(Page):
    """One service and all that can be called of it."""

    template: ClassVar[str] = "service.html"
    root: str
    service: CatalogService


async def show_all(visit: Visit) -> Page:
    """Every service that is not switched off."""
    services = await list_catalog(visit.connection, visit.access.organization_id)
    return ServicesPage(title="Services", root=visit.request.url.path, categories=by_category(services))


async def show(visit: Visit, service: str) -> Page:
    """One of them."""
    found = await fetch_from_catalog(visit.connection, visit.access.organization_id, service)
    return ServicePage(title=found.name, root=services_root(visit), service=found)


def by_category(services: tuple[CatalogService, ...]) -> tuple[tuple[str, tuple[CatalogService, ...]], ...]:
    """Categories in the order of their first service."""
    categories: dict[str, list[CatalogService]] = {}
    for service in services:
        categories.setdefault(service.category, []).append(service)
    return tuple(
        (name, tuple(sorted(members, key=lambda each: "featured" not in each.badges)))
        for name, members in categories.items()
    )


def services_root(visit: Visit) -> str:
    """Where the catalog of this organization is."""
    return f"/o/{visit.access.slug}/services"


PAGES = (
    PageRoute(PATH, show_all, permission=Permission.VIEW),
    PageRoute(f"{PATH}/{{service}}", show, permission=Permission.VIEW),
)
