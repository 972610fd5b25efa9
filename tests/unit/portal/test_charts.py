"""Charts: axes that can be read, figures where they belong, and no text that is not escaped."""

import itertools
import re
from datetime import UTC, datetime
from xml.etree import ElementTree as ET

import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain.analytics.figures import Figures
from domain.analytics.series import Series
from domain.analytics.windows import RANGES, window_of
from portal.charts.axes import marks, slot_names, ticks
from portal.charts.plot import NARROW, WIDE, Chart, Lane, bar, plot
from portal.charts.usage import drawings

NOW = datetime(2026, 11, 26, 13, 20, tzinfo=UTC)


def chart(kind="columns", lanes=((1, 2, 3),), slots=("a", "b", "c")) -> Chart:
    return Chart(
        name="it",
        title="It & <them>",
        kind=kind,
        slots=slots,
        lanes=[Lane(f"<lane {at}>", at + 1, values) for at, values in enumerate(lanes)],
        format_=lambda value: f"{value:g}",
        axis_format=lambda value: f"{value:g}",
    )


def parsed(svg: str) -> ET.Element:
    return ET.fromstring(svg)


@given(st.floats(1e-6, 1e15), st.integers(2, 8), st.booleans())
def test_ticks_are_few_round_and_reach_the_largest(largest, most, whole):
    found = ticks(largest, most, whole=whole)
    assert found[0] == 0
    assert found[-1] >= largest * (1 - 1e-6)
    assert 2 <= len(found) <= most + 2
    if whole:
        assert all(value == int(value) for value in found)


@pytest.mark.parametrize("largest", [0, -1, float("inf"), float("nan")])
def test_an_axis_without_a_height_goes_from_nothing_to_one(largest):
    assert ticks(largest) == [0.0, 1.0]


@pytest.mark.parametrize("zone", ["UTC", "Europe/Berlin", "Asia/Kathmandu", "America/St_Johns"])
@pytest.mark.parametrize("name", RANGES)
@pytest.mark.parametrize("frame", [WIDE, NARROW])
def test_labels_do_not_meet_and_stay_in_the_picture(zone, name, frame):
    window = window_of(RANGES[name], NOW, zone)
    slots = slot_names(window)
    found = marks(window, 12 if frame is WIDE else 5)
    assert 2 <= len(found) <= 14
    lanes = [[1] * len(slots)]
    root = parsed(plot(chart(lanes=lanes, slots=slots), frame, found, "wide"))
    spans = sorted(
        (float(text.get("x")) - 3.4 * len(text.text), float(text.get("x")) + 3.4 * len(text.text))
        for text in root.iter("text")
        if text.get("class") == "axis"
    )
    assert spans[0][0] >= 0
    assert spans[-1][1] <= frame.width
    for (_, end), (begin, _) in itertools.pairwise(spans):
        assert end < begin


def test_days_are_named_after_the_persons_days_also_where_they_are_cut_before():
    kathmandu = slot_names(window_of(RANGES["30d"], NOW, "Asia/Kathmandu"))
    assert kathmandu[-1] == "Thu 26 Nov"
    assert len(set(kathmandu)) == 30
    assert slot_names(window_of(RANGES["24h"], NOW, "Europe/Berlin"))[-1] == "Thu 26 Nov, 14:00\u201315:00"


@pytest.mark.parametrize("kind", ["columns", "lines"])
@pytest.mark.parametrize("lanes", [((0, 0, 0),), ((None, 5, None),), ((1, None, 3), (10**12, 2, 0.5)), ((), ())])
def test_any_figures_make_a_picture_that_says_what_it_shows(kind, lanes):
    slots = ("a", "b", "c")[: len(lanes[0])]
    root = parsed(plot(chart(kind, lanes, slots), NARROW, (), "only"))
    assert root.get("role") == "img"
    assert root.find("title").text == "It & <them>"
    assert root.find("desc").text
    assert {root.find("title").get("id"), root.find("desc").get("id")} == set(root.get("aria-labelledby").split())
    assert len([rect for rect in root.iter("rect") if rect.get("class") == "tip"]) == len(slots)
    assert "style=" not in ET.tostring(root).decode()
    for y in (float(rect.get("y")) for rect in root.iter("rect")):
        assert 0 <= y <= NARROW.height


def test_columns_stand_on_one_another():
    root = parsed(plot(chart(lanes=((1, 0, 0), (3, 0, 0))), WIDE, (), "wide"))
    low, high = [rect for rect in root.iter("rect") if rect.get("class", "").startswith("series")]
    assert float(low.get("y")) == pytest.approx(float(high.get("y")) + float(high.get("height")), abs=0.2)
    assert float(high.get("height")) == pytest.approx(3 * float(low.get("height")), abs=0.3)


def test_a_gap_parts_a_line_and_a_single_point_is_seen():
    svg = plot(chart("lines", ((1, 2, None, 4),), ("a", "b", "c", "d")), WIDE, (), "wide")
    assert svg.count("<polyline") == 1
    assert svg.count("<circle") == 1


def test_a_bar_is_a_share_of_the_largest():
    assert [re.search(r'series-1" width="([\d.]+)"', bar(part, 8))[1] for part in (8, 2, 0)] == [
        "100.00",
        "25.00",
        "0.00",
    ]
    assert 'width="0.00"' in bar(0, 0)


def test_the_tables_behind_the_charts_say_what_the_charts_show():
    window = window_of(RANGES["7d"], NOW, "UTC")
    nothing = [Figures()] * (RANGES["7d"].slots - 1)
    last = Figures(
        requests=10, errors=3, refused=1, by_class=(1, 0, 6, 0, 2, 1), refused_by_class=(0, 0, 0, 0, 1, 0),
        latency=[0] * 20 + [10],
    )  # fmt: skip
    requests, errors, latency = drawings(Series(window, (*nothing, last), last, Figures()))
    assert requests.rows[-1][1] == ("6", "1", "1", "2")
    assert errors.rows[-1][1] == ("30.0\u202f%",)
    assert errors.rows[0][1] == latency.rows[0][1][:1] == ("\u2013",)
    assert len(requests.pictures) == 2
    assert "Succeeded 6, Client errors 1, Refused 1, Failures 2" in requests.pictures[0]
