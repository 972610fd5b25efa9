"""What credits went for: two bar charts with their figures, and who spent most."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from typing import ClassVar

from domain.access import Permission
from domain.credits.statistics import CreditStatistics, read_statistics
from domain.faults import InvalidValue
from portal.web.layout import Page
from portal.web.page import PageRoute
from portal.web.visit import Visit

PATH = "/o/{organization}/credits/statistics"
SPANS = (30, 90)
WIDTH, HEIGHT = 720, 160
_STEPS = (1, 2, 5, 10)


@dataclass(frozen=True, slots=True)
class Bar:
    """One day of a chart, in the units of its picture."""

    day: date
    micro: int
    x: float
    y: float
    width: float
    height: float


@dataclass(frozen=True, slots=True)
class BarChart:
    """Bars from 0 to `top` micro-credits, in a picture of WIDTH by HEIGHT."""

    bars: tuple[Bar, ...]
    top: int
    total: int


@dataclass(frozen=True, kw_only=True)
class CreditStatisticsPage(Page):
    """Both charts share their days."""

    template: ClassVar[str] = "credit_statistics.html"
    root: str
    days: int
    spans: tuple[int, ...]
    statistics: CreditStatistics
    spent: BarChart
    received: BarChart


def bar_chart(days: Sequence[tuple[date, int]]) -> BarChart:
    """Bars of these days, lowest scale that holds all of them: 1, 2 or 5 times a power of ten."""
    highest = max((micro for _, micro in days), default=0)
    top = _round_up(highest)
    room = WIDTH / max(1, len(days))
    bars = []
    for place, (day, micro) in enumerate(days):
        # What is not nothing is seen.
        height = max(1.0, HEIGHT * micro / top) if micro else 0.0
        bars.append(
            Bar(
                day,
                micro,
                round(place * room + room * 0.12, 2),
                round(HEIGHT - height, 2),
                round(room * 0.76, 2),
                round(height, 2),
            )
        )
    return BarChart(tuple(bars), top, sum(micro for _, micro in days))


def _round_up(micro: int) -> int:
    power = 1
    while power * 10 < micro:
        power *= 10
    return next(step * power for step in _STEPS if step * power >= micro)


async def show(visit: Visit) -> Page:
    """Of the last 30 or 90 days."""
    asked = visit.request.query_params.get("days", str(SPANS[0]))
    if asked not in {str(span) for span in SPANS}:
        raise InvalidValue(f"Statistics are for {' or '.join(map(str, SPANS))} days.")
    found = await read_statistics(visit.connection, visit.access, int(asked), visit.services.logs)
    return CreditStatisticsPage(
        title="Credit statistics",
        root=f"/o/{visit.access.slug}/credits",
        days=int(asked),
        spans=SPANS,
        statistics=found,
        spent=bar_chart([(day.day, day.spent_micro) for day in found.days]),
        received=bar_chart([(day.day, day.received_micro) for day in found.days]),
    )


PAGES = (PageRoute(PATH, show, permission=Permission.BILLING_VIEW),)
