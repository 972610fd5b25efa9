"""Budgets fail a run that is slow, wrong, or empty, and let a good one pass."""

import pytest

from loadtests.budgets import Measured, load_budgets, passed

BUDGET = {"a": {"p95_ms": 100.0, "errors": 0.01, "at_least": 10.0}}


def test_a_good_run_passes_no_budget():
    assert passed(BUDGET, {"a": Measured(100, 1, 100.0)}) == []


@pytest.mark.parametrize(
    ("measured", "word"),
    [
        ({"a": Measured(100, 2, 10.0)}, "wrong answers"),
        ({"a": Measured(100, 0, 101.0)}, "p95"),
        ({"a": Measured(9, 0, 10.0)}, "at least 10"),
        ({}, "at least 10"),
    ],
)
def test_a_bad_run_is_named(measured, word):
    (line,) = passed(BUDGET, measured)
    assert word in line


def test_every_kind_of_caller_has_a_budget():
    assert {name.partition(" ")[0] for name in load_budgets()} == {
        "paying",
        "free",
        "abusive",
        "streaming",
        "uploading",
    }
