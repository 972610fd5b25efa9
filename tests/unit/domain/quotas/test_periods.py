"""Month windows tile the time, whatever the anchor, and a wrong clock names the right one among its candidates."""

from datetime import UTC, datetime, timedelta
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain.quotas.periods import month_bounds
from domain.quotas.windows import WINDOW_SECONDS, bounds

DAY = 86_400
MOMENTS = st.floats(min_value=0, max_value=7_258_118_400, allow_nan=False)
ANCHORS = st.none() | MOMENTS


def at(text: str) -> float:
    return datetime.fromisoformat(text).replace(tzinfo=UTC).timestamp()


@given(ANCHORS, MOMENTS)
def test_the_clock_lies_in_the_second_of_three_months(anchor, clock):
    before, this, following, last = month_bounds(anchor, clock)
    assert before < this <= clock < following < last
    assert all(28 * DAY <= end - begin <= 31 * DAY for begin, end in ((before, this), (this, following)))
    assert following - this <= WINDOW_SECONDS["month"]


@given(ANCHORS, MOMENTS)
def test_months_tile_the_time(anchor, clock):
    first = month_bounds(anchor, clock)
    assert month_bounds(anchor, first[2])[:3] == first[1:]
    assert month_bounds(anchor, first[2] - 1) == first
    assert month_bounds(anchor, first[1]) == first


@given(ANCHORS, MOMENTS, st.floats(min_value=-27 * DAY, max_value=27 * DAY, allow_nan=False))
def test_a_clock_that_is_off_by_weeks_still_names_the_right_month(anchor, now, error):
    right = month_bounds(anchor, now)[1:3]
    candidates = month_bounds(anchor, now + error)
    assert right in pairwise(candidates)


@given(MOMENTS)
def test_without_an_anchor_it_is_the_calendar_month(clock):
    assert month_bounds(None, clock)[1:3] == bounds("month", clock)


@given(MOMENTS, MOMENTS)
def test_a_month_begins_on_the_day_and_time_of_its_anchor_or_on_the_last_day(anchor, clock):
    begin = datetime.fromtimestamp(month_bounds(anchor, clock)[1], UTC)
    begun = datetime.fromtimestamp(int(anchor), UTC)
    assert begin.time() == begun.time()
    assert begin.day == begun.day or (begin.day < begun.day and (begin + timedelta(days=1)).day == 1)


@given(MOMENTS)
def test_the_period_that_began_at_the_anchor_is_one_of_its_months(anchor):
    assert month_bounds(anchor, anchor)[1] == int(anchor)


@pytest.mark.parametrize(
    ("anchor", "clock", "begin", "end"),
    [
        ("2026-01-31T12:00", "2026-02-10T00:00", "2026-01-31T12:00", "2026-02-28T12:00"),
        ("2026-01-31T12:00", "2026-02-28T12:00", "2026-02-28T12:00", "2026-03-31T12:00"),
        ("2026-01-31T12:00", "2028-02-29T11:59:59", "2028-01-31T12:00", "2028-02-29T12:00"),
        ("2026-01-31T12:00", "2028-02-29T12:00", "2028-02-29T12:00", "2028-03-31T12:00"),
        ("2028-02-29T00:00", "2029-03-01T00:00", "2029-02-28T00:00", "2029-03-29T00:00"),
        ("2026-12-15T08:30", "2026-03-15T08:29:59", "2026-02-15T08:30", "2026-03-15T08:30"),
        ("2026-12-31T23:59:59", "2027-01-01T00:00", "2026-12-31T23:59:59", "2027-01-31T23:59:59"),
        ("2026-11-30T00:00", "2100-02-28T23:00", "2100-02-28T00:00", "2100-03-30T00:00"),
    ],
)
def test_clipped_days_leap_years_and_the_turn_of_the_year(anchor, clock, begin, end):
    assert month_bounds(at(anchor), at(clock))[1:3] == (at(begin), at(end))
