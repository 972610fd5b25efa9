from datetime import UTC, datetime, timedelta

from hypothesis import given
from hypothesis import strategies as st

from domain.usage_reading import _bounds

NOW = datetime(2026, 3, 1, 12, 34, 56, tzinfo=UTC)


@given(st.integers(0, 200 * 86_400))
def test_three_ranges_that_meet_and_begin_not_after_since(seconds):
    since = NOW - timedelta(seconds=seconds)
    minutes, hours, days = _bounds(since, NOW)
    first = next(bound for bound, end in ((minutes, hours), (hours, days), (days, None)) if bound != end)
    assert first <= since
    assert since - first < (timedelta(minutes=1) if seconds < 40 * 3_600 else timedelta(days=1))
    assert minutes <= hours <= days
    assert hours == hours.replace(minute=0, second=0)
    assert days == days.replace(hour=0, minute=0, second=0)
