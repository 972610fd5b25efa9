"""Budgets fail a run that is slow, wrong, miscounted, or empty, and let a good one pass."""

from datetime import UTC, datetime

import pytest

from loadtests.budgets import Budget, Measured, hours_touched, load_budgets, passed

BUDGET = {"a": Budget(10, 100.0, 200.0, 0.01, (200, 429), per_hour=50)}
GOOD = {200: 50, 429: 50}


def test_a_good_run_passes_no_budget():
    assert passed(BUDGET, {"a": Measured(100, 1, 100.0, 200.0, GOOD)}) == []


@pytest.mark.parametrize(
    ("measured", "word"),
    [
        ({"a": Measured(100, 2, 10.0, 10.0, GOOD)}, "wrong answers"),
        ({"a": Measured(100, 0, 101.0, 101.0, GOOD)}, "p95"),
        ({"a": Measured(100, 0, 10.0, 201.0, GOOD)}, "p99"),
        ({"a": Measured(9, 0, 10.0, 10.0, {200: 9})}, "at least 10"),
        ({}, "at least 10"),
        ({"a": Measured(100, 0, 10.0, 10.0, {**GOOD, 503: 1})}, "never get: {503: 1}"),
        ({"a": Measured(100, 0, 10.0, 10.0, {200: 51})}, "51 answers of 200"),
        ({"a": Measured(100, 0, 10.0, 10.0, {200: 40, 429: 60}, unread=4)}, "refused with 40"),
    ],
)
def test_a_bad_run_is_named(measured, word):
    (line,) = passed(BUDGET, measured)
    assert word in line


def test_answers_on_their_way_at_the_end_are_not_missed():
    assert passed(BUDGET, {"a": Measured(100, 0, 10.0, 10.0, {200: 46, 429: 54}, unread=4)}) == []


def test_a_run_over_the_full_hour_may_use_two_windows():
    hours = hours_touched(datetime(2026, 1, 1, 9, 59, 59, tzinfo=UTC), datetime(2026, 1, 1, 10, 0, 1, tzinfo=UTC))
    assert hours == 2
    assert passed(BUDGET, {"a": Measured(100, 0, 10.0, 10.0, {200: 100})}, hours) == []
    assert passed(BUDGET, {"a": Measured(101, 0, 10.0, 10.0, {200: 101})}, hours)


def test_every_kind_of_caller_has_a_budget():
    kinds = {name.partition(" ")[0] for name in load_budgets("locust")}
    assert kinds == {"paying", "free", "abusive", "streaming", "uploading"}
    assert set(load_budgets("wrk")) == {"paying", "free", "abusive"}


def test_only_those_who_should_get_it_may_get_429():
    refusable = {name for name, budget in load_budgets("locust").items() if 429 in budget.statuses}
    assert refusable == {"free GET /items", "abusive guessing", "abusive hammering"}
