"""Charts as SVG, made here and coloured by the style sheet: stacked columns, and lines.

Pure functions of figures. Every slot has a tooltip; what a chart shows also stands in a table behind it, which the page
makes of the same value.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, NamedTuple

from markupsafe import Markup, escape

from portal.charts.axes import Format, Mark, ticks


@dataclass(frozen=True, slots=True)
class Lane:
    """One series. `colour` is the number of a --series token; None is a gap."""

    label: str
    colour: int
    values: Sequence[float | None]


@dataclass(frozen=True, slots=True)
class Chart:
    """`name` is a word of its own on the page. `format_` writes a value with its unit, `axis_format` a tick."""

    name: str
    title: str
    kind: Literal["columns", "lines"]
    slots: Sequence[str]
    lanes: Sequence[Lane]
    format_: Format
    axis_format: Format
    whole: bool = False

    @property
    def summary(self) -> str:
        """One sentence on what is to be seen."""
        best = max(range(len(self.slots)), key=self.height_of, default=0)
        if not self.slots or not self.height_of(best):
            return f"{self.title}: nothing in this window."
        return f"{self.title} in {len(self.slots)} steps; most at {self.slots[best]}: {self.tip(best)}."

    def height_of(self, slot: int) -> float:
        """How high a slot reaches."""
        values = [lane.values[slot] or 0 for lane in self.lanes]
        return sum(values) if self.kind == "columns" else max(values, default=0)

    def tip(self, slot: int) -> str:
        """What a slot says."""
        shown = [(lane.label, lane.values[slot]) for lane in self.lanes]
        return ", ".join(f"{label} {self.format_(value)}" for label, value in shown if value is not None) or "nothing"


class Frame(NamedTuple):
    """Sizes in units of the viewBox. The plot lies between the margins."""

    width: int
    height: int
    left: int = 46
    right: int = 8
    top: int = 10
    bottom: int = 24


WIDE, NARROW = Frame(900, 230), Frame(360, 210, 44)


def plot(chart: Chart, frame: Frame, marks: Sequence[Mark], variant: str) -> Markup:
    """The chart in one size; `variant` is its class and makes its ids unlike those of its other sizes."""
    scale = ticks(max((chart.height_of(slot) for slot in range(len(chart.slots))), default=0), whole=chart.whole)
    body = _grid(chart, frame, scale) + _marks(chart, frame, marks)
    body += _columns(chart, frame, scale[-1]) if chart.kind == "columns" else _lines(chart, frame, scale[-1])
    body += _tips(chart, frame)
    ids = f"{chart.name}-{variant}"
    return Markup(  # noqa: S704  every text is escaped where it comes in
        f'<svg class="plot {variant}" viewBox="0 0 {frame.width} {frame.height}" role="img" '
        f'aria-labelledby="{ids}-title {ids}-text"><title id="{ids}-title">{escape(chart.title)}</title>'
        f'<desc id="{ids}-text">{escape(chart.summary)}</desc>{body}</svg>'
    )


def bar(value: float, largest: float) -> Markup:
    """A small bar in a row of a table: how much of the largest this is."""
    width = 100 * value / largest if largest else 0
    return Markup(
        '<svg class="share" viewBox="0 0 100 6" preserveAspectRatio="none" aria-hidden="true" focusable="false">'
        '<rect class="share-ground" width="100" height="6"/><rect class="series-1" width="{:.2f}" height="6"/></svg>'
    ).format(width)


def _y(frame: Frame, value: float, top: float) -> float:
    return frame.height - frame.bottom - (frame.height - frame.top - frame.bottom) * value / top


def _step(chart: Chart, frame: Frame) -> float:
    return (frame.width - frame.left - frame.right) / max(len(chart.slots), 1)


def _grid(chart: Chart, frame: Frame, scale: Sequence[float]) -> str:
    parts = []
    for value in scale:
        y = _y(frame, value, scale[-1])
        parts.append(
            f'<line class="grid-line" x1="{frame.left}" x2="{frame.width - frame.right}" y1="{y:.1f}" y2="{y:.1f}"/>'
            f'<text class="axis end" x="{frame.left - 6}" y="{y + 4:.1f}">{escape(chart.axis_format(value))}</text>'
        )
    return "".join(parts)


def _marks(chart: Chart, frame: Frame, marks: Sequence[Mark]) -> str:
    """Labels stand below the begin of their slot for clock times, and never leave the picture."""
    step, y = _step(chart, frame), frame.height - 6
    parts = []
    for slot, text in marks:
        half = 3.4 * len(text)
        x = min(max(frame.left + step * (slot + 0.5), half), frame.width - half)
        parts.append(f'<text class="axis" x="{x:.1f}" y="{y}">{escape(text)}</text>')
    return "".join(parts)


def _columns(chart: Chart, frame: Frame, top: float) -> str:
    step = _step(chart, frame)
    gap = min(2.0, step * 0.2)
    parts = []
    for slot in range(len(chart.slots)):
        x, below = frame.left + step * slot + gap / 2, 0.0
        for lane in chart.lanes:
            value = lane.values[slot] or 0
            if not value:
                continue
            low, high = _y(frame, below, top), _y(frame, below + value, top)
            below += value
            parts.append(
                f'<rect class="series-{lane.colour}" x="{x:.1f}" y="{high:.1f}" width="{step - gap:.1f}" '
                f'height="{max(low - high, 0.6):.1f}"/>'
            )
    return "".join(parts)


def _lines(chart: Chart, frame: Frame, top: float) -> str:
    step = _step(chart, frame)
    parts = []
    for lane in chart.lanes:
        for first, run in _runs(lane.values):
            points = [
                (frame.left + step * (first + place + 0.5), _y(frame, value, top)) for place, value in enumerate(run)
            ]
            if len(points) == 1:
                parts.append(
                    f'<circle class="series-{lane.colour}" cx="{points[0][0]:.1f}" cy="{points[0][1]:.1f}" r="2.5"/>'
                )
                continue
            path = " ".join(f"{x:.1f},{y:.1f}" for x, y in points)
            parts.append(f'<polyline class="line series-{lane.colour}" points="{path}"/>')
    return "".join(parts)


def _runs(values: Sequence[float | None]) -> list[tuple[int, list[float]]]:
    """Stretches without a gap, each with its first slot."""
    runs: list[tuple[int, list[float]]] = []
    for slot, value in enumerate(values):
        if value is None:
            continue
        if runs and runs[-1][0] + len(runs[-1][1]) == slot:
            runs[-1][1].append(value)
        else:
            runs.append((slot, [value]))
    return runs


def _tips(chart: Chart, frame: Frame) -> str:
    step, height = _step(chart, frame), frame.height - frame.top - frame.bottom
    return "".join(
        f'<rect class="tip" x="{frame.left + step * slot:.1f}" y="{frame.top}" width="{step:.1f}" height="{height}">'
        f"<title>{escape(name)}: {escape(chart.tip(slot))}</title></rect>"
        for slot, name in enumerate(chart.slots)
    )
