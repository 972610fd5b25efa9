"""Reports: their list, each one with its chart, its table, the requests behind every row, and its CSV."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, ClassVar
from urllib.parse import quote, urlencode

from starlette.responses import Response

from admin.web.layout import Page
from admin.web.page import PageRoute, chosen
from admin.web.report_charts import Drawing, draw
from admin.web.visit import Visit
from domain.faults import Fault, NotFound
from domain.job_queue import queue_depth_if_there
from domain.operators import Right
from domain.reports.choosing import parse_choice
from domain.reports.health import with_queue
from domain.reports.registry import REPORTS
from domain.reports.report_csv import report_csv
from domain.reports.shapes import Column, Named, Report, ReportKind
from portal.web.failures import status_of

PATH = "/reports"
WINDOWS = (("1h", "1 hour"), ("24h", "24 hours"), ("7d", "7 days"), ("30d", "30 days"), ("90d", "90 days"))
NAMES = ("window", "from", "to", "organization", "service", "operation", "which", "page")
MONEY = frozenset({"credit-flows"})
"""Reports that ask for the right to look at money as well."""
HEALTH = "system-health"
"""The report to which Redis has something to say."""
GROUPS = (
    ("Traffic", ("live-traffic", "errors-by-service", "errors-by-operation", "latency-by-service", "latency-by-operation", "slowest-operations")),
    ("Limits", ("most-refused", "limit-pressure", "shadow-limits")),
    ("Business", ("credit-flows", "top-organizations", "fading-organizations", "cohorts", "funnel")),
    ("Care", ("key-hygiene", "system-health")),
)  # fmt: skip


@dataclass(frozen=True, kw_only=True)
class ReportsPage(Page):
    """All that this operator may see."""

    template: ClassVar[str] = "reports.html"
    title: str = "Reports"
    groups: tuple[tuple[str, tuple[ReportKind, ...]], ...]


@dataclass(frozen=True, kw_only=True)
class ReportPage(Page):
    """One report. `report` is None where what was chosen cannot be."""

    template: ClassVar[str] = "report.html"
    kind: ReportKind
    report: Report | None
    drawings: tuple[Drawing, ...]
    given: Mapping[str, str]
    services: tuple[tuple[str, str], ...]
    windows: tuple[tuple[str, str], ...] = WINDOWS

    def url(self, **changed: str) -> str:
        """The same with other parameters; empty ones are left out."""
        return _url(self.kind.slug, {**self.given, **changed})

    @property
    def csv(self) -> str:
        """The same as a file."""
        return _url(f"{self.kind.slug}.csv", self.given)

    def logs(self, at: int) -> str:
        """The requests behind a row; empty where there are none to show."""
        filters = self.report.filters[at] if self.report else None
        return f"/requests?{urlencode(filters)}" if filters and filters.get("organization") else ""

    def link(self, column: Column, value: Any) -> str:
        """The page of what stands in a cell; empty if it has none."""
        if not isinstance(value, Named) or value.id is None:
            return ""
        if column.kind == "organization":
            return f"/organizations/{quote(value.detail, safe='')}"
        if column.kind == "plan":
            return f"/plans/{quote(value.detail or value.name, safe='')}"
        return f"/keys/{value.id}" if column.kind == "key" else ""


async def show_all(visit: Visit) -> Page:
    """GET /reports."""
    groups = ((name, tuple(REPORTS[slug] for slug in slugs if _may(visit, slug))) for name, slugs in GROUPS)
    return ReportsPage(groups=tuple(group for group in groups if group[1]))


async def show(visit: Visit, slug: str) -> Page | Response:
    """GET /reports/{slug}, and /reports/{slug}.csv."""
    as_file = slug.endswith(".csv")
    kind = _kind(visit, slug.removesuffix(".csv"))
    given = {name: text for name in NAMES if (text := chosen(visit, name)[:100])}
    services = tuple(
        (row["slug"], row["name"])
        for row in await visit.connection.fetch("select slug, name from service order by name limit 500")
    )
    try:
        choice = await parse_choice(visit.connection, kind, given, datetime.now(UTC))
    except Fault as fault:
        return ReportPage(
            title=kind.title, kind=kind, report=None, drawings=(), given=given, services=services,
            error=str(fault), status=status_of(fault),
        )  # fmt: skip
    report = await kind.make(visit.connection, choice)
    if kind.slug == HEALTH:
        report = with_queue(report, await queue_depth_if_there(visit.services.redis))
    if as_file:
        return _file(report)
    return ReportPage(
        title=kind.title,
        kind=kind,
        report=report,
        drawings=draw(kind.title, report.series, report.columns),
        given=given,
        services=services,
    )


def _file(report: Report) -> Response:
    name = f"{report.slug}-{datetime.now(UTC):%Y-%m-%d}.csv"
    fields = {"content-disposition": f'attachment; filename="{name}"'}
    return Response(b"".join(report_csv(report)), media_type="text/csv; charset=utf-8", headers=fields)


def _kind(visit: Visit, slug: str) -> ReportKind:
    kind = REPORTS.get(slug)
    if kind is None:
        raise NotFound("There is no such report.")
    if slug in MONEY:
        visit.operator.require(Right.LOOK_MONEY)
    return kind


def _may(visit: Visit, slug: str) -> bool:
    return slug not in MONEY or visit.may(Right.LOOK_MONEY)


def _url(slug: str, query: Mapping[str, str]) -> str:
    given = {name: text for name, text in query.items() if text}
    return f"{PATH}/{slug}?{urlencode(given)}" if given else f"{PATH}/{slug}"


PAGES = (
    PageRoute(PATH, show_all, right=Right.ANALYSE),
    PageRoute(f"{PATH}/{{slug}}", show, right=Right.ANALYSE),
)
