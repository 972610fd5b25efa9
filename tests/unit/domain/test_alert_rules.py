"""When a level is told: once when it is reached, again only after it was left behind by the margin."""

from datetime import UTC, datetime, timedelta
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain.alerts.rules import LEVELS, MARGIN, NOTHING, falling, level_after, mailed, rate, rising

NOW = datetime(2026, 11, 27, 9, tzinfo=UTC)


def walk(reaches) -> list[int]:
    """The levels that are told while these are looked at one after the other."""
    told, level = [], 0
    for reach in reaches:
        after = level_after(level, reach)
        if after > level:
            told.append(after)
        level = after
    return told


def of(*values: int, threshold: int = 100) -> list[int]:
    return walk(rising(value, threshold) for value in values)


def test_each_level_is_told_when_it_is_reached_and_not_again():
    assert of(0, 49, 50, 50, 79, 80, 81, 99, 100, 100, 250) == [50, 80, 100]


def test_of_levels_passed_at_once_the_highest_is_told():
    assert of(10, 100) == [100]
    assert of(60, 120) == [50, 100]


def test_a_figure_that_wavers_tells_nothing_again_until_it_was_below_the_margin():
    assert of(80, 79, 80, 70, 80) == [80]
    assert of(80, 69, 80) == [80, 80]
    assert of(80, 69, 55, 79) == [80], "50 still stood"
    assert of(100, 85, 100) == [100, 100], "100 was left, 80 stood"


def test_a_limit_that_is_raised_arms_what_it_leaves_behind():
    assert walk([rising(80, 100), rising(80, 200), rising(160, 200)]) == [80, 80]


def test_no_threshold_is_never_reached():
    assert rising(5, 0) == falling(0, 0) == rate(5, 5, 0, 1) == rate(0, 0, 10, 1) == NOTHING


def test_credits_are_low_below_the_mark_and_armed_a_quarter_above_it():
    assert walk(falling(balance, 100) for balance in (500, 100, 99, 0, 110, 124, 99)) == [100]
    assert walk(falling(balance, 100) for balance in (99, 125, 99)) == [100, 100]


def test_a_rate_needs_enough_requests_and_holds_down_to_three_quarters():
    assert rate(20, 100, 20, 100) == (100, 100)
    assert rate(19, 100, 20, 100) == (0, 100)
    assert rate(15, 100, 20, 100) == (0, 100)
    assert rate(14, 100, 20, 100) == NOTHING
    assert rate(99, 99, 20, 100) == (0, 100), "too few to begin, enough to go on"
    assert rate(49, 49, 20, 100) == NOTHING


@pytest.mark.parametrize(
    ("period", "level", "last", "wanted"),
    [
        ("month", 50, NOW, True),
        ("hour", 80, None, False),
        ("hour", 100, None, True),
        ("hour", 100, NOW - timedelta(hours=9), False),
        ("hour", 100, NOW - timedelta(hours=9, seconds=1), True),
    ],
)
def test_limits_of_an_hour_are_mailed_when_used_up_once_a_day(period, level, last, wanted):
    assert mailed(period, level, last, NOW) is wanted


@given(st.lists(st.integers(0, 300), max_size=40), st.integers(1, 100), st.sampled_from([LEVELS, (100,)]))
def test_whatever_the_figures_do(values, threshold, levels):
    """The level is one that was reached and never left by the margin since, and the highest of these."""
    level = 0
    for place, value in enumerate(values):
        reach = rising(value, threshold, levels)
        assert reach.reached <= reach.held
        level = level_after(level, reach)
        stands = 0
        for each in levels:
            reached = [at for at, one in enumerate(values[: place + 1]) if one * 100 >= each * threshold]
            if reached and all(one * 100 >= (each - MARGIN) * threshold for one in values[reached[-1] : place + 1]):
                stands = max(stands, each)
        assert level == stands


@given(st.lists(st.integers(0, 300), max_size=40), st.integers(1, 100))
def test_of_what_only_grows_each_level_is_told_at_most_once_and_the_last_one_is(values, threshold):
    told = of(*sorted(values), threshold=threshold)
    assert all(one < following for one, following in pairwise(told))
    highest = rising(max(values, default=0), threshold).reached
    assert (told[-1] if told else 0) == highest
