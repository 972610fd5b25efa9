"""The dashboard: an organization's usage, what it may still use, and its newest calls."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import ClassVar
from urllib.parse import urlencode
from uuid import UUID

from starlette.responses import Response

from domain.access import Permission
from domain.analytics.breakdown import Breakdown, read_breakdown
from domain.analytics.choices import Choices, read_choices
from domain.analytics.figures import Figures, change
from domain.analytics.limits import Standing, read_standing
from domain.analytics.live import NEWEST, Live, read_live, read_older, with_older
from domain.analytics.series import Series, read_series
from domain.analytics.sources import Filter
from domain.analytics.windows import RANGES, Range, window_of
from domain.faults import InvalidValue
from domain.service_catalog import list_catalog
from portal.charts.plot import bar
from portal.charts.usage import Drawing, drawings
from portal.web.events import LiveEvents
from portal.web.examples import PLACE_OF_KEY, first_call
from portal.web.formats import THIN, credits_, local, milliseconds, number, percent, size
from portal.web.layout import Page, gateway_url
from portal.web.page import PageRoute
from portal.web.visit import Visit

PATH = "/o/{organization}"
FIRST_RANGE = "24h"
_NAMES = ("key", "service", "operation")


@dataclass(frozen=True, slots=True)
class Look:
    """What the page was asked for."""

    range: Range
    wanted: Filter

    def url(self, root: str, **changes: object) -> str:
        """The same page with something else; None takes a filter off."""
        values = {
            "range": self.range.name,
            "key": self.wanted.key_id,
            "service": self.wanted.service_id,
            "operation": self.wanted.operation_id,
        }
        query = urlencode({name: value for name, value in {**values, **changes}.items() if value is not None})
        return f"{root}?{query}"


@dataclass(frozen=True, slots=True)
class Tile:
    """One figure; `note` says how it changed since the window before."""

    label: str
    value: str
    note: str


@dataclass(frozen=True, kw_only=True)
class DashboardPage(Page):
    """`new` is an organization that has never made a request: it is shown what to do (`curl`), and no zeros."""

    template: ClassVar[str] = "dashboard.html"
    root: str
    look: Look
    series: Series
    tiles: tuple[Tile, ...]
    drawings: tuple[Drawing, ...]
    breakdown: Breakdown
    choices: Choices
    standing: Standing
    live: Live
    new: bool
    curl: str
    billing: bool
    may_build: bool

    ranges: ClassVar[Mapping[str, Range]] = RANGES
    bar = staticmethod(bar)
    local = staticmethod(local)


async def show(visit: Visit) -> Page:
    """The organization's usage in a window. Raises InvalidValue for a filter that can be none."""
    look = look_of(visit.request.query_params)
    now = datetime.now(UTC)
    window = window_of(look.range, now, visit.person.time_zone)
    series = await read_series(visit.connection, visit.access, window, look.wanted, visit.services.logs)
    choices = await read_choices(visit.connection, visit.access, look.wanted)
    billing = visit.access.may(Permission.BILLING_VIEW)
    new = not (choices.used or series.total.requests or look.wanted.any)
    services = await list_catalog(visit.connection, visit.access.organization_id) if new else ()
    return DashboardPage(
        title="Dashboard",
        root=f"/o/{visit.access.slug}",
        look=look,
        series=series,
        tiles=tiles(series, billing=billing),
        drawings=drawings(series),
        breakdown=await read_breakdown(visit.connection, visit.access, window, look.wanted, visit.services.logs),
        choices=choices,
        standing=await read_standing(visit.connection, visit.services.limiter, visit.access, now),
        live=await _live(visit, now),
        new=new,
        curl=first_call(gateway_url(visit), services, (), PLACE_OF_KEY) if new else "",
        billing=billing,
        may_build=visit.access.may(Permission.BUILD),
    )


async def _live(visit: Visit, now: datetime) -> Live:
    organization_id = visit.access.organization_id
    found = await read_live(visit.connection, organization_id, (), now)
    if len(found.newest) >= NEWEST:
        return found
    return with_older(found, await read_older(visit.connection, organization_id, now, visit.services.logs))


async def live(visit: Visit) -> Response:
    """The same as it happens, until the reader goes. Raises TooManyTries."""
    return LiveEvents(visit)


def look_of(query: Mapping[str, str]) -> Look:
    """Range and filter of a query; an empty one is none. Raises InvalidValue."""
    range_ = RANGES.get(query.get("range") or FIRST_RANGE)
    if range_ is None:
        raise InvalidValue(f"The range is one of {', '.join(RANGES)}.")
    return Look(range_, Filter(*(_id(name, query.get(name) or None) for name in _NAMES)))


def _id(name: str, text: str | None) -> UUID | None:
    try:
        return None if text is None else UUID(text)
    except ValueError as fault:
        raise InvalidValue(f"That is no id of a{'n' if name == 'operation' else ''} {name}.") from fault


def tiles(series: Series, *, billing: bool) -> tuple[Tile, ...]:
    """What was used in the window, and how that differs from the window before."""
    total, now, before = series.total, series.elapsed, series.before
    found = [
        Tile("Requests", number(total.requests), _changed(now.requests, before.requests)),
        Tile("Errors", _of(total.errors, total), _changed(now.errors, before.errors)),
        Tile("Refused by us", _of(total.refused, total), _changed(now.refused, before.refused)),
        Tile("Data sent to you", size(total.bytes_out), _changed(now.bytes_out, before.bytes_out)),
        *(
            Tile(f"Latency {name}", milliseconds(getattr(total, field)), _changed(getattr(now, field), getattr(before, field)))
            for name, field in (("p50", "p50_us"), ("p95", "p95_us"), ("p99", "p99_us"))
        ),
    ]  # fmt: skip
    if billing:
        found.append(Tile("Credits spent", credits_(total.cost_micro), _changed(now.cost_micro, before.cost_micro)))
    return tuple(found)


def _of(part: int, whole: Figures) -> str:
    return f"{number(part)} ({percent(part, whole.requests)})" if part else number(part)


def _changed(now: float | None, before: float | None) -> str:
    share = change(now, before)
    if share is None:
        return "nothing before to compare" if now else ""
    if abs(share) < 0.0005:
        return "as before"
    if share > 9.995:
        return f"\u25b2 {share + 1:,.0f} times as much"
    arrow = "\u25b2" if share > 0 else "\u25bc"
    return f"{arrow} {abs(share) * 100:.1f}{THIN}%"


PAGES = (
    PageRoute(PATH, show, permission=Permission.VIEW),
    PageRoute(f"{PATH}/live", live, permission=Permission.VIEW, connected=False),
)
