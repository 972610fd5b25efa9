"""What every page has around it: the navigation, the product's name, who is signed in, what was just done."""

from dataclasses import dataclass
from datetime import datetime
from typing import ClassVar

from domain.access import Access, Permission
from domain.identity.sessions import Acting
from portal.web.done import DONE
from portal.web.visit import Visit


@dataclass(frozen=True, kw_only=True)
class Page:
    """What a template gets as `page`; subclasses add fields and name their template."""

    template: ClassVar[str]
    title: str
    status: int = 200
    error: str = ""
    """One sentence above the content, if something went wrong."""


@dataclass(frozen=True, slots=True)
class NavigationItem:
    """One entry of the navigation of an organization."""

    label: str
    path: str
    permission: Permission
    icon: str


NAVIGATION = (
    NavigationItem("Dashboard", "", Permission.VIEW, "dashboard"),
    NavigationItem("API keys", "/keys", Permission.VIEW, "keys"),
    NavigationItem("Request logs", "/logs", Permission.VIEW, "logs"),
    NavigationItem("Jobs", "/jobs", Permission.VIEW, "jobs"),
    NavigationItem("Services", "/services", Permission.VIEW, "services"),
    NavigationItem("Subscription", "/subscription", Permission.BILLING_VIEW, "subscription"),
    NavigationItem("Credits", "/credits", Permission.BILLING_VIEW, "credits"),
    NavigationItem("Team", "/team", Permission.VIEW, "team"),
    NavigationItem("Webhooks", "/webhooks", Permission.VIEW, "webhooks"),
    NavigationItem("Alerts", "/alerts", Permission.BILLING_VIEW, "alerts"),
    NavigationItem("Audit", "/audit", Permission.AUDIT_VIEW, "audit"),
    NavigationItem("Organization", "/settings", Permission.VIEW, "settings"),
)


@dataclass(frozen=True, slots=True)
class Layout:
    """The surroundings of one page. `here` is None outside an organization."""

    product: str
    gateway_url: str
    here: Access | None
    organizations: tuple[Access, ...]
    items: tuple[tuple[NavigationItem, str, bool], ...]
    """Each with its URL and whether it is the current one."""
    email: str
    name: str
    theme: str
    time_zone: str
    csrf: str
    done: str
    path: str
    signed_in: bool
    deletes_at: datetime | None
    """When the account is deleted, unless it is kept."""
    acting: Acting | None
    """Of an operator who acts as a customer: as whom, and until when."""


def layout_of(visit: Visit) -> Layout:
    """The surroundings of the visit's page."""
    session, here = visit.session, visit.here
    return Layout(
        product=visit.settings.portal.name,
        gateway_url=gateway_url(visit),
        here=here,
        organizations=visit.accesses,
        items=_items(here, visit.request.url.path) if here else (),
        email=session.email if session else "",
        name=(session.name or session.email) if session else "",
        theme=session.theme if session else "system",
        time_zone=session.time_zone if session else "UTC",
        csrf=visit.csrf,
        done=DONE.get(visit.request.query_params.get("done", ""), ""),
        path=visit.request.url.path,
        signed_in=session is not None,
        deletes_at=session.deletes_at if session and not session.acting else None,
        acting=session.acting if session else None,
    )


def gateway_url(visit: Visit) -> str:
    """Where customers reach the gateway, for examples."""
    settings = visit.settings
    return settings.portal.gateway_url.rstrip("/") or f"http://localhost:{settings.gateway.port}"


def _items(here: Access, path: str) -> tuple[tuple[NavigationItem, str, bool], ...]:
    root = f"/o/{here.slug}"
    own = path.removeprefix(root)
    return tuple(
        (item, root + item.path, own.startswith(item.path) if item.path else own == "")
        for item in NAVIGATION
        if here.may(item.permission)
    )
