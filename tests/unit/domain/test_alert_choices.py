"""What an organization may choose to be told of, as it is written and as it is taken."""

from dataclasses import replace

import pytest

from domain.alerts.choices import DEFAULT, LEAST_LEVEL, parse_percents, parse_whole, valid_choice
from domain.alerts.rules import level_after, rising
from domain.faults import InvalidValue


@pytest.mark.parametrize(
    ("text", "percents"),
    [("50, 80, 100", (50, 80, 100)), ("90%", (90,)), ("", ()), (" 60 ; 70% 95 ", (60, 70, 95)), ("80,80", (80, 80))],
)
def test_percents_are_taken_as_people_write_them(text, percents):
    assert parse_percents(text) == percents


@pytest.mark.parametrize("text", ["fifty", "50.5", "-5", "٥٠", "1e2", "99999999999"])
def test_what_is_no_whole_number_is_said(text):
    with pytest.raises(InvalidValue, match="is no whole number"):
        parse_percents(text)
    with pytest.raises(InvalidValue, match="Requests"):
        parse_whole(text, "Requests")


def test_numbers_may_have_a_sign_for_percent_and_separators_or_be_left_out():
    assert [parse_whole(text, "x") for text in ("20 %", "1,000", "", "  ")] == [20, 1000, None, None]


def test_levels_are_ascending_and_each_once():
    assert valid_choice(replace(DEFAULT, usage_percents=(100, 50, 50))).usage_percents == (50, 100)
    assert valid_choice(replace(DEFAULT, usage_percents=())).usage_percents == ()


@pytest.mark.parametrize(
    "changes",
    [
        {"usage_percents": (LEAST_LEVEL - 1,)}, {"usage_percents": (101,)}, {"usage_percents": (10, 20, 30, 40, 50, 60)},
        {"low_credits_micro": -1}, {"low_credits_micro": 10**16}, {"day_cost_micro": 0}, {"day_cost_micro": 10**16},
        {"error_percent": 0}, {"error_percent": 101}, {"error_requests": 0}, {"error_requests": 10**10},
    ],
)  # fmt: skip
def test_what_is_out_of_bounds_is_refused(changes):
    with pytest.raises(InvalidValue):
        valid_choice(replace(DEFAULT, **changes))


@pytest.mark.parametrize("level", range(LEAST_LEVEL, 101))
def test_every_level_that_may_be_chosen_wavers_without_being_told_again_and_is_armed_below(level):
    def at(percent, before):
        return level_after(before, rising(percent, 100, (level,)))

    assert at(level - 1, 0) == 0
    assert at(level, 0) == level
    assert at(level - 1, level) == level
    assert at(level - level // 2 - 1 if level < 20 else level - 11, level) == 0
