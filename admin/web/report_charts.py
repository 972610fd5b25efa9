"""A report's series as charts, one for each unit that its lines have."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime

from markupsafe import Markup

from domain.reports.shapes import Chart as Series
from domain.reports.shapes import Column, Line
from portal.charts.axes import Mark
from portal.charts.plot import NARROW, WIDE, Chart, Lane, plot
from portal.web.formats import THIN, credits_, number, short_number

_MOST_LABELS = {"wide": 12, "narrow": 5}
_COLOURS = (1, 2, 3, 4, 5, 6)
_DAY_SECONDS = 86_400
_WHOLES = frozenset({"requests", "net"})
"""Lines that hold other lines of their chart: nothing is stacked on them."""
_CATEGORY, _ALL_CATEGORIES = 14, 84
"""Characters of a category below its slot at most, and of all together."""


@dataclass(frozen=True, slots=True)
class Drawing:
    """A chart in its sizes, one of which is shown, with what the table behind it says."""

    chart: Chart
    pictures: tuple[Markup, ...]
    rows: tuple[tuple[str, tuple[str, ...]], ...]


def draw(title: str, series: Series | None, columns: Sequence[Column] = ()) -> tuple[Drawing, ...]:
    """The charts; none for a report without a series, or with one of nothing. Lines have the titles of their columns."""
    if series is None or not series.x:
        return ()
    stacked = not _WHOLES.intersection(line.name for line in series.lines)
    titles = {column.name: column.title for column in columns}
    lines = [replace(line, name=titles.get(line.name) or _words(line.name)) for line in series.lines]
    units = list(dict.fromkeys(line.unit for line in lines))
    return tuple(
        _drawn(title, series, unit, [line for line in lines if line.unit == unit], index, stacked=stacked)
        for index, unit in enumerate(units)
    )


def _drawn(title: str, series: Series, unit: str, lines: list[Line], index: int, *, stacked: bool) -> Drawing:
    shown = _format(unit)
    slots = [_name(x) for x in series.x]
    whole = unit in ("count", "credits_micro")
    words = {"duration_ms": "how long", "percent": "share", "credits_micro": "credits"}.get(unit, "how many")
    chart = Chart(
        name=f"report-{index}",
        title=title if index == 0 else f"{title}: {words}",
        kind="columns" if whole and (stacked or len(lines) == 1) else "lines",
        slots=slots,
        lanes=tuple(Lane(line.name, _COLOURS[at % len(_COLOURS)], list(line.values)) for at, line in enumerate(lines)),
        format_=shown,
        axis_format=_axis(unit),
        whole=unit == "count",
    )
    pictures = tuple(
        plot(chart, frame, _marks(series.x, _MOST_LABELS[variant]), variant)
        for variant, frame in (("wide", WIDE), ("narrow", NARROW))
    )
    rows = tuple(
        (name, tuple("\u2013" if (value := lane.values[at]) is None else shown(value) for lane in chart.lanes))
        for at, name in enumerate(slots)
    )
    return Drawing(chart, pictures, rows)


def _words(name: str) -> str:
    return name.replace("_", " ").capitalize()


def _format(unit: str) -> Callable[[float], str]:
    return {
        "credits_micro": lambda value: credits_(round(value)),
        "percent": lambda value: f"{value:.1f}{THIN}%",
        "duration_ms": lambda value: f"{value:,.1f} ms",
    }.get(unit, lambda value: number(round(value)))


def _axis(unit: str) -> Callable[[float], str]:
    return {
        "credits_micro": lambda value: short_number(value / 1_000_000),
        "percent": lambda value: f"{value:g}{THIN}%",
        "duration_ms": lambda value: f"{value:g} ms",
    }.get(unit, short_number)


def _name(x: datetime | str) -> str:
    return x if isinstance(x, str) else f"{x.astimezone(UTC):%d %b, %H:%M} UTC"


def _marks(xs: tuple[datetime | str, ...], most: int) -> list[Mark]:
    step = max(1, -(-len(xs) // most))
    moments = [x for x in xs if isinstance(x, datetime)]
    days = len(moments) > 1 and (moments[1] - moments[0]).total_seconds() >= _DAY_SECONDS
    return [
        Mark(at, _label(x, days=days, room=_ALL_CATEGORIES // len(xs)))
        for at, x in enumerate(xs)
        if (len(xs) - 1 - at) % step == 0
    ]


def _label(x: datetime | str, *, days: bool, room: int) -> str:
    if isinstance(x, str):
        most = min(max(room, 5), _CATEGORY)
        return x if len(x) <= most else f"{x[:most].rstrip()}\u2026"
    return f"{x.day} {x:%b}" if days else f"{x:%H:%M}"
