"""Months are counted from one anchor, as the gateway's month windows are."""

from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain.billing_periods import anchor_of, months_after, months_between
from domain.quotas.periods import month_bounds


def day(text):
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


MOMENTS = st.timedeltas(timedelta(0), timedelta(days=36_500)).map(lambda span: day("1990-01-01") + span)


@pytest.mark.parametrize(
    ("anchor", "months", "then"),
    [
        ("2027-01-31", 1, "2027-02-28"),
        ("2027-01-31", 2, "2027-03-31"),
        ("2027-01-31", 3, "2027-04-30"),
        ("2028-01-31", 1, "2028-02-29"),
        ("2028-02-29", 12, "2029-02-28"),
        ("2028-02-29", 48, "2032-02-29"),
        ("2026-11-26T19:00", 1, "2026-12-26T19:00"),
        ("2026-12-01", 1, "2027-01-01"),
        ("2027-03-31", -1, "2027-02-28"),
        ("2027-01-15", 0, "2027-01-15"),
    ],
)
def test_months_after(anchor, months, then):
    assert months_after(day(anchor), months) == day(then)


@given(anchor=MOMENTS, moment=MOMENTS)
def test_a_moment_lies_in_one_month(anchor, moment):
    months = months_between(anchor, moment)
    assert months_after(anchor, months) <= moment < months_after(anchor, months + 1)


@given(anchor=MOMENTS, clock=MOMENTS)
def test_the_gateway_counts_the_same_months(anchor, clock):
    anchor, clock = anchor.replace(microsecond=0), clock.replace(microsecond=0)
    bounds = month_bounds(anchor.timestamp(), clock.timestamp())
    months = months_between(anchor, clock)
    assert bounds[1:3] == tuple(int(months_after(anchor, months + step).timestamp()) for step in (0, 1))


def test_a_period_that_began_elsewhere_is_its_own_anchor():
    assert anchor_of(day("2027-01-31"), day("2027-02-28")) == day("2027-01-31")
    assert anchor_of(day("2027-01-31"), day("2027-03-28")) == day("2027-03-28")


def test_months_are_those_of_utc():
    tokyo = timezone(timedelta(hours=9))
    anchor = day("2027-01-31T23:00").astimezone(tokyo)
    assert anchor.month == 2
    assert months_after(anchor, 1) == day("2027-02-28T23:00")
