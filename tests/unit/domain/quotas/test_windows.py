import calendar
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain.quotas.windows import WINDOW_SECONDS, bounds, judge
from tests.snapshots import limit

MOMENTS = st.floats(min_value=0, max_value=7_258_118_400, allow_nan=False)


@given(MOMENTS, st.sampled_from(["second", "minute", "hour", "day"]))
def test_windows_tile_the_time_in_equal_parts(now, period):
    start, end = bounds(period, now)
    assert start <= now < end
    assert end - start == WINDOW_SECONDS[period]
    assert start % WINDOW_SECONDS[period] == 0
    assert bounds(period, end) == (end, end + WINDOW_SECONDS[period])


@given(MOMENTS)
def test_a_month_is_the_calendar_month_in_utc(now):
    start, end = bounds("month", now)
    moment = datetime.fromtimestamp(now, UTC)
    first = moment.replace(day=1, hour=0, minute=0, second=0, microsecond=0)
    assert start == calendar.timegm(first.timetuple()) <= now < end
    assert datetime.fromtimestamp(end, UTC).day == 1
    assert end - start <= WINDOW_SECONDS["month"]


def test_a_verdict_names_the_windows_that_refuse_and_when_all_of_them_have_turned():
    limits = [limit("minute", 5), limit("hour", 10), limit("day", 3, shadow=True), limit("month", 100)]
    verdict = judge(limits, [5, 10, 3, 7], [30_001, 1_800_000, 5, 9], [1] * 4, taken=False, source="redis")
    assert not verdict.allowed
    assert verdict.violated == ("minute", "hour")
    assert verdict.shadow_violated == ("day",)
    assert verdict.retry_after_seconds == 1_800
    assert [window.remaining for window in verdict.windows] == [0, 0, 0, 93]
    assert [window.reset_seconds for window in verdict.windows] == [31, 1_800, 1, 1]


def test_a_shadow_window_over_its_amount_is_reported_and_does_not_refuse():
    verdict = judge([limit("hour", 3, shadow=True)], [4], [1_000], [1], taken=True, source="redis")
    assert verdict.allowed
    assert verdict.violated == ()
    assert verdict.shadow_violated == ("hour",)
    assert verdict.windows[0].remaining == 0


@pytest.mark.parametrize("used", [0, 4, 5])
def test_the_last_permit_is_no_violation(used):
    verdict = judge([limit("hour", 5)], [used], [1_000], [1], taken=True, source="redis")
    assert verdict.violated == ()
    assert verdict.windows[0].remaining == 5 - used
