"""What every page of the back office has around it: the navigation by what the operator may do, and who that is."""

from dataclasses import dataclass
from typing import ClassVar

from admin.web.done import DONE
from admin.web.visit import Visit
from domain.operators import Operator, Right


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
    """One entry of the navigation. It is current on its path and below."""

    label: str
    path: str
    right: Right
    icon: str


NAVIGATION: tuple[tuple[str, tuple[NavigationItem, ...]], ...] = (
    (
        "",
        (NavigationItem("Overview", "/", Right.LOOK, "dashboard"), NavigationItem("Find", "/find", Right.LOOK, "find")),
    ),
    (
        "Customers",
        (
            NavigationItem("Organizations", "/organizations", Right.LOOK, "team"),
            NavigationItem("Requests", "/requests", Right.LOOK, "logs"),
            NavigationItem("Async jobs", "/async-jobs", Right.LOOK, "jobs"),
            NavigationItem("Actions", "/actions", Right.LOOK, "subscription"),
        ),
    ),
    (
        "Business",
        (
            NavigationItem("Reports", "/reports", Right.ANALYSE, "credits"),
            NavigationItem("Plans", "/plans", Right.LOOK, "services"),
            NavigationItem("What if", "/what-if", Right.ANALYSE, "settings"),
        ),
    ),
    (
        "Running it",
        (
            NavigationItem("Alerts", "/alerts", Right.LOOK, "alerts"),
            NavigationItem("Jobs", "/jobs", Right.LOOK, "webhooks"),
            NavigationItem("Audit", "/audit", Right.LOOK_AUDIT, "audit"),
            NavigationItem("Operators", "/operators", Right.OPERATORS, "account"),
            NavigationItem("Tables", "/tables/", Right.LOOK, "services"),
        ),
    ),
)


@dataclass(frozen=True, slots=True)
class Layout:
    """The surroundings of one page."""

    product: str
    operator: Operator | None
    groups: tuple[tuple[str, tuple[tuple[NavigationItem, bool], ...]], ...]
    """By heading, each item with whether it is the current one."""
    theme: str
    time_zone: str
    csrf: str
    done: str
    path: str
    without_factor: bool
    """Whether somebody is signed in who has no second factor."""

    def may(self, right: str) -> bool:
        """Whether who is signed in has the right of this name, for templates."""
        return self.operator is not None and self.operator.may(Right(right))


def layout_of(visit: Visit) -> Layout:
    """The surroundings of the visit's page."""
    here = visit.signed_in
    return Layout(
        product=visit.settings.portal.name,
        operator=here.operator if here else None,
        groups=_groups(visit) if here else (),
        theme=here.session.theme if here else "system",
        time_zone=here.session.time_zone if here else "UTC",
        csrf=visit.csrf,
        done=DONE.get(visit.request.query_params.get("done", ""), ""),
        path=visit.request.url.path,
        without_factor=here is not None and not here.has_factor,
    )


def _groups(visit: Visit) -> tuple[tuple[str, tuple[tuple[NavigationItem, bool], ...]], ...]:
    path = visit.request.url.path
    groups = (
        (heading, tuple((item, _is_current(item, path)) for item in items if visit.may(item.right)))
        for heading, items in NAVIGATION
    )
    return tuple(group for group in groups if group[1])


def _is_current(item: NavigationItem, path: str) -> bool:
    return path == item.path or (item.path != "/" and path.startswith(item.path.rstrip("/") + "/"))
