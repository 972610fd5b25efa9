"""The overview: what an operator looks at first: what goes on, what waits for somebody, where to begin."""

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, ClassVar
from urllib.parse import quote

from admin.web.layout import Page
from admin.web.page import PageRoute
from admin.web.report_charts import draw
from admin.web.visit import Visit
from domain.operators import Right
from domain.reports.choosing import parse_choice
from domain.reports.registry import REPORTS
from domain.reports.shapes import Report

_COUNTS = """
select (select count(*) from organization where state = 'active') as active,
       (select count(*) from organization where state = 'suspended') as suspended,
       (select count(*) from subscription where state = 'past_due') as past_due,
       (select count(*) from plan where active) as plans,
       (select count(*) from service where enabled) as services
"""
_JOB_PART = "job"


@dataclass(frozen=True, slots=True)
class Waiting:
    """Something that somebody should look at: a sentence, and the page that shows it."""

    sentence: str
    path: str
    kind: str = "warning"


@dataclass(frozen=True, kw_only=True)
class HomePage(Page):
    """`traffic` is the last hour; `waiting` is empty where all is well."""

    template: ClassVar[str] = "home.html"
    title: str = "Overview"
    counts: Any
    traffic: Report
    drawings: tuple[Any, ...]
    waiting: tuple[Waiting, ...]


async def show(visit: Visit) -> Page:
    """GET /."""
    counts = await visit.connection.fetchrow(_COUNTS)
    now = datetime.now(UTC)
    traffic, health = [await _report(visit, slug, now) for slug in ("live-traffic", "system-health")]
    return HomePage(
        counts=counts,
        traffic=traffic,
        drawings=tuple(draw("Requests of the last hour", traffic.series))[:1],
        waiting=(*_of_customers(counts), *_of_health(health)),
    )


async def _report(visit: Visit, slug: str, now: datetime) -> Report:
    kind = REPORTS[slug]
    return await kind.make(visit.connection, await parse_choice(visit.connection, kind, {}, now))


def _of_customers(counts: Any) -> list[Waiting]:
    found = []
    if counts["past_due"]:
        found.append(Waiting(f"{counts['past_due']:,} subscriptions are past due.", "/plans"))
    if counts["suspended"]:
        found.append(
            Waiting(
                f"{counts['suspended']:,} suspended: their keys are refused until somebody restores them.",
                "/organizations?state=suspended",
                "info",
            )
        )
    return found


def _of_health(health: Report) -> list[Waiting]:
    """What the report on the installation calls late or failed."""
    found = []
    for part, what, value, _, state in health.rows:
        if state not in ("late", "failed"):
            continue
        kind = "bad" if state == "failed" else "warning"
        if part == _JOB_PART:
            found.append(Waiting(f"The job {what} failed.", f"/jobs?name={quote(what)}&state=failed", kind))
        else:
            found.append(Waiting(f"{part.capitalize()}, {what}: {value}.", "/reports/system-health", kind))
    return found


PAGES = (PageRoute("/", show, right=Right.LOOK),)
