"""Plans with what they offer and who has them."""

from dataclasses import dataclass
from typing import ClassVar

from admin.web.layout import Page
from admin.web.page import PageRoute
from admin.web.visit import Visit
from domain.back_office.selling import OldTerms, Subscribers, count_subscribers, old_terms
from domain.operators import Right
from domain.plans import PlanRecord, fetch_plan, list_plans

PATH = "/plans"


@dataclass(frozen=True, kw_only=True)
class PlansPage(Page):
    """All plans."""

    template: ClassVar[str] = "plans.html"
    title: str = "Plans"
    plans: list[tuple[PlanRecord, Subscribers]]


@dataclass(frozen=True, kw_only=True)
class PlanPage(Page):
    """One plan."""

    template: ClassVar[str] = "plan.html"
    plan: PlanRecord
    subscribers: Subscribers
    versions: list[OldTerms]


async def show_all(visit: Visit) -> Page:
    """GET /plans."""
    counts = await count_subscribers(visit.connection)
    plans = await list_plans(visit.connection)
    return PlansPage(plans=[(plan, counts[plan.slug]) for plan in plans])


async def show(visit: Visit, slug: str) -> Page:
    """GET /plans/{slug}."""
    plan = await fetch_plan(visit.connection, slug)
    counts = await count_subscribers(visit.connection)
    versions = await old_terms(visit.connection, plan.id)
    return PlanPage(title=plan.name, plan=plan, subscribers=counts[slug], versions=versions)


PAGES = (
    PageRoute(PATH, show_all, right=Right.LOOK),
    PageRoute(f"{PATH}/{{slug}}", show, right=Right.LOOK),
)
