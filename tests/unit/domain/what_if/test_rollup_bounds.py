"""What rollups say of a draft holds for the requests that they were made of, whatever their order within hour or day was."""

from collections import defaultdict
from dataclasses import replace
from datetime import UTC, datetime

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from domain.what_if.history import Rolled
from domain.what_if.pricing import offers_of
from domain.what_if.results import Range
from domain.what_if.rollup_bounds import estimate
from tests.snapshots import key
from tests.unit.domain.what_if.asking import FORECAST, KEYS, SERVICE, limit, plan, services, side
from tests.unit.domain.what_if.test_sides import limits, requests

LENGTHS = {"hour": 3_600, "day": 86_400}


def rollups(asked_for, grain):
    """As the ingester folds them, by when requests began."""
    sums = defaultdict(int)
    for one in asked_for:
        at = one.begun_us // 1_000_000
        sums[at - at % LENGTHS[grain], one.key_id, one.service_id, one.operation_id, one.status < 400] += 1
    return [
        Rolled(
            key().organization_id, key_id, service, operation, datetime.fromtimestamp(at, UTC), grain, n, 0, 0, n * good
        )
        for (at, key_id, service, operation, good), n in sums.items()
    ]


def estimated(rows, sold, mode="credits"):
    return estimate(rows, replace(key(), billing_mode=mode), sold, services(), offers_of(services()))


@settings(max_examples=400)
@given(
    limits(), requests(), st.sampled_from(["hour", "day"]), st.sampled_from(["credits", "quota"]),
    st.sampled_from(["block", "credits"]), st.integers(0, 3), st.integers(0, 3),
)  # fmt: skip
def test_the_exact_replay_lies_within_the_bounds(sold, asked_for, grain, mode, overage, price, units):
    terms = plan(*sold, overage=overage, prices={FORECAST: price}, units={FORECAST: units})
    replayed = side(terms, billing_mode=mode, balance=10**9)
    for one in asked_for:
        replayed.ask(one)
    bounds = estimated(rollups(asked_for, grain), terms, mode)
    assert bounds.refused.least <= replayed.refused <= bounds.refused.most
    assert bounds.spent.least <= replayed.purse.spent <= bounds.spent.most
    for each in sold:
        name = each.name
        assert replayed.refused_by[name] + replayed.over[name] <= bounds.refused_by.get(name, Range()).most


@pytest.mark.parametrize(
    ("written", "hourly", "refused"),
    [
        (limit("hour", 30, "hour"), 50, Range(20, 20)),
        (limit("minute", 1, "minute"), 50, Range(0, 49)),
        (limit("minute", 1, "minute"), 100, Range(39, 99)),
        (limit("second", 1, "second"), 5_000, Range(1_399, 4_999)),
        (limit("concurrent", 4, "concurrent"), 50, Range(0, 46)),
        (limit("day", 30, "day"), 50, Range(20, 20)),
        (limit("day", 50, "day"), 50, Range(0, 0)),
        (limit("hour", 30, "hour", shadow=True), 50, Range(0, 0)),
    ],
)
def test_one_limit_on_one_hour(written, hourly, refused):
    rows = [
        Rolled(
            key().organization_id,
            KEYS[0],
            SERVICE,
            None,
            datetime(2026, 11, 1, 5, tzinfo=UTC),
            "hour",
            hourly,
            0,
            0,
            hourly,
        )
    ]
    assert estimated(rows, plan(written)).refused == refused


def test_requests_that_were_refused_in_fact_may_have_been_asked_for_or_not():
    rows = [
        Rolled(
            key().organization_id,
            KEYS[0],
            SERVICE,
            FORECAST,
            datetime(2026, 11, 1, 5, tzinfo=UTC),
            "hour",
            50,
            15,
            0,
            35,
        )
    ]
    found = estimated(rows, plan(limit("hour", 30, "hour"), prices={FORECAST: 10}))
    assert (found.refused, found.spent) == (Range(5, 20), Range(150, 500))
