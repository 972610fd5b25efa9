"""Limits are read as people write them, and nothing else is."""

import pytest

from domain.faults import InvalidValue
from domain.limit_texts import LimitSpec, parse_limit, parse_limits


@pytest.mark.parametrize(
    ("text", "amount", "period"),
    [
        ("1000/hour", 1000, "hour"),
        ("5 per second", 5, "second"),
        ("100/minute", 100, "minute"),
        ("10 / day", 10, "day"),
        ("1 per 1 month", 1, "month"),
        ("7/MINUTES", 7, "minute"),
    ],
)
def test_a_limit_is_an_amount_of_one_period(text, amount, period):
    assert parse_limit(text) == LimitSpec(period, amount, period)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "x",
        "1000",
        "/hour",
        "0/hour",
        "-1/hour",
        "1/fortnight",
        "3/year",
        "2 per 5 minutes",
        "1/hour;2/day",
        "1.5/hour",
        "9999999999999999999/day",
        "1e3/hour",
    ],
)
def test_anything_else_is_refused_with_the_text_in_the_sentence(text):
    with pytest.raises(InvalidValue, match=r"limit|amount"):
        parse_limit(text)


def test_a_plan_has_one_limit_of_a_period_and_perhaps_its_shadow():
    specs = parse_limits(["10000/day", "1000/hour"], ["5/second", "800/hour"])
    assert [(spec.name, spec.shadow) for spec in specs] == [
        ("second", True),
        ("hour", False),
        ("hour-shadow", True),
        ("day", False),
    ]
    with pytest.raises(InvalidValue, match="two limits named hour"):
        parse_limits(["1/hour", "2/hour"])


def test_a_limit_counts_for_the_organization_or_for_each_key():
    assert parse_limit("1/hour", scope="key").scope == "key"
    with pytest.raises(InvalidValue):
        parse_limit("1/hour", scope="planet")
