"""Limits are read as people write them, and nothing else is."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain.faults import InvalidValue
from domain.limit_texts import LimitSpec, limit_texts, parse_limit, parse_limits


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


@pytest.mark.parametrize(
    ("text", "spec"),
    [
        ("100/minute per key", LimitSpec("minute-key", 100, "minute", "key")),
        ("5 per second per key", LimitSpec("second-key", 5, "second", "key")),
        ("100/minute per organization", LimitSpec("minute", 100, "minute")),
        ("100/minute on weather", LimitSpec("minute-weather", 100, "minute", service="weather")),
        (
            "9/day per key on weather:Get  a forecast",
            LimitSpec(
                "day-key-weather-get-a-forecast", 9, "day", "key", service="weather", operation="Get  a forecast"
            ),
        ),
        ("10 concurrent", LimitSpec("concurrent", 10, "concurrent")),
        ("10 Concurrent per key on w", LimitSpec("concurrent-key-w", 10, "concurrent", "key", service="w")),
        ("burst = 5/second", LimitSpec("burst", 5, "second")),
        (f"1/day on {'w' * 63}:été", LimitSpec(f"day-{'w' * 36}", 1, "day", service="w" * 63, operation="été")),
    ],
)
def test_who_shares_it_and_what_it_counts(text, spec):
    assert parse_limit(text) == spec


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("1/hour per planet", "per key"),
        ("1/hour on w per key", "per key, on SERVICE"),
        ("1/hour on W", "no slug"),
        ("1/hour on w:", "no limit"),
        ("1/hour on w:a\x00b", "no operation"),
        ("1/hour on w:" + "o" * 121, "no operation"),
        ("Burst=1/hour", "name"),
        ("=1/hour", "name"),
        ("a b=1/hour", "no limit"),
        (f"{'n' * 41}=1/hour", "at most 40"),
        ("0 concurrent", "amount"),
        ("concurrent", "no limit"),
        ("10concurrent", "no limit"),
        ("10 concurrent/hour", "no limit"),
    ],
)
def test_what_is_wrong_is_said(text, sentence):
    with pytest.raises(InvalidValue, match=sentence):
        parse_limit(text)


def test_names_of_a_plans_limits_are_made_where_none_is_given():
    specs = parse_limits(
        ["10000/day", "1000/hour", "4 concurrent", "9/hour", "hour-2=8/hour"], ["5/second", "800/hour"]
    )
    assert [(spec.name, spec.amount, spec.shadow) for spec in specs] == [
        ("second", 5, True),
        ("hour", 1000, False),
        ("hour-3", 9, False),
        ("hour-2", 8, False),
        ("hour-shadow", 800, True),
        ("day", 10000, False),
        ("concurrent", 4, False),
    ]
    with pytest.raises(InvalidValue, match="two limits named x"):
        parse_limits(["x=1/hour"], ["x=2/day"])


NAMES = st.sampled_from(["", "", "a", "hour", "hour-2", "hour-shadow", "minute-key", "second-w-get-a"])
TARGETS = st.sampled_from([(None, None), ("w", None), ("w", "get a"), ("w-2", "GET /a"), ("w" * 63, "o" * 120)])


@st.composite
def limits(draw):
    period = draw(st.sampled_from(["second", "minute", "hour", "day", "month", "concurrent"]))
    amount, (service, operation) = draw(st.integers(1, 10**15)), draw(TARGETS)
    scope, shadow = draw(st.sampled_from(["organization", "key"])), draw(st.booleans())
    if period in {"day", "month"} and scope == "organization" and not shadow and draw(st.booleans()):
        return LimitSpec(draw(NAMES), amount, period, scope, shadow, service, operation, "quota")
    return LimitSpec(draw(NAMES), amount, period, scope, shadow, service, operation)


@given(limits())
def test_a_printed_limit_is_read_again_as_it_was(spec):
    (read,) = read_plan([(spec.text, spec.shadow, spec.unit)])
    assert replace(read, name=spec.name) == spec
    assert read.text == spec.text


@given(st.lists(limits(), max_size=12, unique_by=lambda spec: spec.name or object()))
def test_the_printed_limits_of_a_plan_make_the_same_plan(specs):
    texts = [(f"{spec.name}={spec.text}" if spec.name else spec.text, spec.shadow, spec.unit) for spec in specs]
    plan = read_plan(texts)
    assert len({spec.name for spec in plan}) == len(specs)
    printed = limit_texts(plan)
    assert read_plan([(text, spec.shadow, spec.unit) for text, spec in zip(printed, plan, strict=True)]) == plan


def read_plan(texts):
    return parse_limits(
        [text for text, shadow, unit in texts if not shadow and unit == "requests"],
        [text for text, shadow, _ in texts if shadow],
        [text for text, _, unit in texts if unit == "quota"],
    )


@pytest.mark.parametrize("text", ["5/hour", "5 concurrent", "5/day per key"])
def test_a_quota_is_of_a_day_or_a_month_and_of_the_organization(text):
    with pytest.raises(InvalidValue, match="a quota is of a day or a month"):
        parse_limits([], [], [text])


def test_quotas_stand_beside_limits_of_the_same_period():
    specs = parse_limits(["9/day", "9/month"], [], ["100/month", "10/day on weather:forecast", "own=5/day"])
    assert [(spec.name, spec.unit) for spec in specs] == [
        ("day", "requests"),
        ("day-quota-weather-forecast", "quota"),
        ("own", "quota"),
        ("month", "requests"),
        ("month-quota", "quota"),
    ]


def test_a_name_is_printed_only_where_another_would_be_made():
    assert limit_texts(parse_limits(["1/hour", "2/hour", "x=1/day"], ["3/hour"])) == [
        "1/hour",
        "2/hour",
        "3/hour",
        "x=1/day",
    ]
    assert limit_texts([LimitSpec("hour-shadow", 1, "hour", shadow=True)]) == ["hour-shadow=1/hour"]
