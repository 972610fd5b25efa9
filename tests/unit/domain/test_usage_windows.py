"""Windows of usage: whole, without gaps, aligned to the days of a time zone, also where clocks change."""

import itertools
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain.analytics.windows import HOUR, HOURS_KEPT, PREVIOUS, RANGES, window_of

ZONES = [
    "UTC",
    "Europe/Berlin",
    "America/New_York",
    "Asia/Kathmandu",
    "Asia/Kolkata",
    "Australia/Lord_Howe",
    "Pacific/Apia",
]
MOMENTS = st.integers(1_704_067_200, 1_830_297_600).map(lambda second: datetime.fromtimestamp(second, UTC))


def day_lengths(window) -> set[float]:
    return {(b - a) / HOUR for a, b in zip(window.edges, window.edges[1:], strict=False)}


@given(now=MOMENTS, zone=st.sampled_from(ZONES), name=st.sampled_from(list(RANGES)))
def test_slots_cover_the_window_without_gaps_and_the_last_one_holds_now(now, zone, name):
    window = window_of(RANGES[name], now, zone)
    assert len(window.edges) == RANGES[name].slots + 1
    assert list(window.edges) == sorted(set(window.edges))
    assert window.edges[-2] <= now < window.edges[-1]
    assert all(edge.minute == edge.second == 0 for edge in window.edges)
    assert window.before < window.before_end <= window.start
    pieces = sorted((piece for piece in window.pieces() if piece.slot != PREVIOUS), key=lambda piece: piece.first)
    assert pieces[0].first == window.start
    assert pieces[-1].next == window.edges[-1]
    for piece, following in itertools.pairwise(pieces):
        assert piece.next == following.first
    for piece in pieces:
        if piece.slot != window.present:
            assert window.edges[piece.slot - 1] <= piece.first < piece.next <= window.edges[piece.slot]
        if piece.grain == "day":
            assert piece.first.hour == piece.next.hour == 0
        else:
            assert piece.first >= now - HOURS_KEPT


@given(now=MOMENTS, zone=st.sampled_from(ZONES[:5]), name=st.sampled_from(list(RANGES)))
def test_the_window_before_is_as_long_as_what_is_over_of_this_one(now, zone, name):
    window = window_of(RANGES[name], now, zone)
    if name != "90d":
        difference = (window.before_end - window.before) - (window.hour - window.start)
        assert abs(difference) <= timedelta(hours=1), "an hour where clocks changed"


def test_the_day_on_which_clocks_go_forward_has_23_hours_and_the_other_25():
    spring = window_of(RANGES["30d"], datetime(2026, 4, 10, 12, tzinfo=UTC), "Europe/Berlin")
    autumn = window_of(RANGES["30d"], datetime(2026, 11, 10, 12, tzinfo=UTC), "Europe/Berlin")
    assert day_lengths(spring) == {23, 24}
    assert day_lengths(autumn) == {24, 25}
    for window in (spring, autumn):
        assert all(edge.astimezone(ZoneInfo("Europe/Berlin")).hour == 0 for edge in window.edges)


def test_days_of_kathmandu_are_cut_at_the_hour_before_they_begin():
    window = window_of(RANGES["30d"], datetime(2026, 11, 26, 18, 5, tzinfo=UTC), "Asia/Kathmandu")
    assert window.snapped
    assert window.edges[-2] == datetime(2026, 11, 26, 18, tzinfo=UTC)
    assert {edge.astimezone(ZoneInfo("Asia/Kathmandu")).time().isoformat() for edge in window.edges} == {"23:45:00"}
    assert not window_of(RANGES["24h"], window.now, "Asia/Kathmandu").snapped


@pytest.mark.parametrize("zone", ["Nowhere/Town", "", "../../etc/passwd", "UTC\0"])
def test_an_unknown_zone_is_utc(zone):
    now = datetime(2026, 11, 26, 9, 30, tzinfo=UTC)
    assert window_of(RANGES["7d"], now, zone).edges == window_of(RANGES["7d"], now, "UTC").edges
