"""The published table (docs/callers.md), row by row, for both policies."""

import pytest

from domain.charging import is_charged, reported_cost

ROWS = [
    # outcome, upstream's status (0: none), headers arrived, on success, on response
    ("refused", 402, False, False, False),
    ("refused", 429, False, False, False),
    ("refused", 500, True, False, False),
    ("served", 200, True, True, True),
    ("served", 204, True, True, True),
    ("served", 304, True, True, True),
    ("served", 399, True, True, True),
    ("served", 400, True, False, True),
    ("served", 404, True, False, True),
    ("served", 500, True, False, True),
    ("served", 599, True, False, True),
    ("failed", 502, False, False, False),
    ("failed", 504, False, False, False),
    ("cut", 200, True, False, True),
    ("cut", 500, True, False, True),
    ("gone", 0, False, False, False),
    ("gone", 200, True, True, True),
    ("gone", 404, True, False, True),
    ("served", 101, True, True, True),
    ("cut", 101, True, True, True),
    ("gone", 101, True, True, True),
]


@pytest.mark.parametrize(("outcome", "status", "arrived", "success", "response"), ROWS)
def test_the_table(outcome, status, arrived, success, response):
    assert is_charged("success", outcome, status, headers_arrived=arrived) is success
    assert is_charged("response", outcome, status, headers_arrived=arrived) is response


@pytest.mark.parametrize(
    ("text", "cost"),
    [
        (b"0", 0),
        (b"0.25", 250_000),
        (b"1", 1_000_000),
        (b"1.000001", None),
        (b"2", None),
        (b"-1", None),
        (b"1e-3", None),
        (b"0.0000001", None),
        (b"", None),
        (b" 1", None),
        (b"9999999999", None),
        (b"\xff", None),
        (b"1,0", None),
    ],
)
def test_what_an_upstream_reports_counts_within_what_is_held(text, cost):
    assert reported_cost(text, 1_000_000) == cost
