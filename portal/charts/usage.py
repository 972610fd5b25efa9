"""The dashboard's charts, made of a series."""

from dataclasses import dataclass

from markupsafe import Markup

from domain.analytics.series import Series
from portal.charts.axes import marks, slot_names
from portal.charts.plot import NARROW, WIDE, Chart, Lane, plot
from portal.web.formats import THIN, milliseconds, number, short_number

_LABELS_WIDE, _LABELS_NARROW = 12, 5


@dataclass(frozen=True, slots=True)
class Drawing:
    """A chart in its sizes, one of which is shown, with what the table behind it says."""

    chart: Chart
    pictures: tuple[Markup, ...]
    rows: tuple[tuple[str, tuple[str, ...]], ...]


def drawings(series: Series) -> tuple[Drawing, Drawing, Drawing]:
    """Requests by what came of them, the share of errors, latencies. The first one comes in two sizes."""
    return (
        _drawn(series, requests(series), wide=True),
        _drawn(series, errors(series)),
        _drawn(series, latency(series)),
    )


def requests(series: Series) -> Chart:
    """Requests by what came of them."""
    slots = series.slots
    return Chart(
        name="requests",
        title="Requests",
        kind="columns",
        slots=slot_names(series.window),
        lanes=(
            Lane("Succeeded", 1, [figures.succeeded for figures in slots]),
            Lane("Client errors", 4, [figures.client_errors for figures in slots]),
            Lane("Refused", 6, [figures.refused for figures in slots]),
            Lane("Failures", 2, [figures.failures for figures in slots]),
        ),
        format_=lambda value: number(round(value)),
        axis_format=short_number,
        whole=True,
    )


def errors(series: Series) -> Chart:
    """Errors in percent of the requests."""
    shares = [figures.error_share for figures in series.slots]
    return Chart(
        name="errors",
        title="Error rate",
        kind="lines",
        slots=slot_names(series.window),
        lanes=(Lane("Errors", 2, [None if share is None else 100 * share for share in shares]),),
        format_=lambda value: f"{value:.1f}{THIN}%",
        axis_format=lambda value: f"{value:g}{THIN}%",
    )


def latency(series: Series) -> Chart:
    """Three percentiles of the time that callers waited."""
    slots = series.slots
    return Chart(
        name="latency",
        title="Latency",
        kind="lines",
        slots=slot_names(series.window),
        lanes=(
            Lane("p50", 1, [figures.p50_us for figures in slots]),
            Lane("p95", 3, [figures.p95_us for figures in slots]),
            Lane("p99", 5, [figures.p99_us for figures in slots]),
        ),
        format_=lambda value: milliseconds(round(value)),
        axis_format=_short_time,
    )


def _drawn(series: Series, chart: Chart, *, wide: bool = False) -> Drawing:
    narrow = plot(chart, NARROW, marks(series.window, _LABELS_NARROW), "narrow" if wide else "only")
    pictures = (plot(chart, WIDE, marks(series.window, _LABELS_WIDE), "wide"), narrow) if wide else (narrow,)
    rows = tuple(
        (
            name,
            tuple("\u2013" if (value := lane.values[slot]) is None else chart.format_(value) for lane in chart.lanes),
        )
        for slot, name in enumerate(chart.slots)
    )
    return Drawing(chart, pictures, rows)


def _short_time(micros: float) -> str:
    """A tick: 250 us, 2.5 ms, 1.5 s."""
    if micros >= 1_000_000:
        return f"{micros / 1_000_000:g} s"
    return f"{micros / 1000:g} ms" if micros >= 1000 or not micros else f"{micros:g} \u00b5s"
