"""A side decides as the plain oracle does, whatever limits a plan has and however requests come."""

from dataclasses import replace
from datetime import UTC, datetime

from hypothesis import given, settings
from hypothesis import strategies as st

from domain.snapshots import LimitSnapshot
from domain.what_if.purses import Purse
from tests.unit.domain.what_if.asking import (
    BEGIN,
    FORECAST,
    HISTORY,
    KEYS,
    OTHER,
    SERVICE,
    asked,
    limit,
    plan,
    services,
    side,
)  # fmt: skip
from tests.unit.domain.what_if.oracle import judged

START = int(BEGIN.timestamp()) * 1_000_000
HOUR = 3_600_000_000
ANCHOR = datetime(2026, 1, 31, 0, 30, 7, tzinfo=UTC)
TARGETS = st.sampled_from([(None, None), (SERVICE, None), (SERVICE, FORECAST), (OTHER, None)])


@st.composite
def limits(draw) -> tuple[LimitSnapshot, ...]:
    found = []
    for number in range(draw(st.integers(0, 4))):
        quota = draw(st.booleans()) and draw(st.booleans())
        period = draw(
            st.sampled_from(["day", "month"] if quota else ["second", "minute", "hour", "day", "month", "concurrent"])
        )
        service, operation = draw(TARGETS)
        found.append(
            limit(
                f"l{number}",
                draw(st.integers(1, 8)),
                period,
                shadow=draw(st.booleans()) and draw(st.booleans()),
                scope="organization" if quota else draw(st.sampled_from(["organization", "key"])),
                unit="quota" if quota else "requests",
                service=service,
                operation_id=operation,
            )
        )
    return tuple(found)


@st.composite
def requests(draw):
    steps = st.sampled_from([0, 1, 10, 40_000, 100_000, 999_999, 3_000_000, 61_000_000, 900_000_000, HOUR, 9 * HOUR])
    at, found = START + draw(st.integers(0, HOUR)), []
    for _ in range(draw(st.integers(0, 40))):
        at += draw(steps)
        service, operation = draw(
            st.sampled_from([(SERVICE, FORECAST), (SERVICE, HISTORY), (SERVICE, None), (OTHER, None)])
        )
        found.append(
            asked(
                at,
                key_id=draw(st.sampled_from(KEYS)),
                service_id=service,
                operation_id=operation,
                status=draw(st.sampled_from([200, 200, 404])),
                total_us=draw(st.sampled_from([10, 500_000, 5_000_000])),
            )
        )
    return found


@settings(max_examples=400)
@given(
    limits(), requests(), st.sampled_from(["credits", "quota"]), st.sampled_from(["block", "credits"]),
    st.integers(0, 3), st.integers(0, 5), st.integers(0, 30), st.sampled_from([None, ANCHOR]),
)  # fmt: skip
def test_a_side_admits_refuses_and_charges_as_the_oracle(sold, asked_for, mode, overage, units, price, balance, anchor):
    tested = side(
        plan(*sold, overage=overage, prices={FORECAST: price}, units={FORECAST: units}),
        billing_mode=mode, anchor=anchor, balance=balance,
    )  # fmt: skip
    admitted, refused_by, over, spent = judged(
        asked_for, sold, anchor=anchor or datetime(2026, 1, 1, tzinfo=UTC), by_quota=mode == "quota", overage=overage,
        units={FORECAST: units}, prices={FORECAST: price}, balance=balance,
    )  # fmt: skip
    for request, expected, names in zip(asked_for, admitted, refused_by, strict=True):
        assert tested.ask(request) == expected
        if not expected:
            assert set(tested.last_refused_by) == names
    assert (tested.admitted, tested.refused) == (sum(admitted), len(admitted) - sum(admitted))
    assert tested.purse.spent == spent
    for each in sold:
        assert tested.refused_by[each.name] == sum(each.name in names for names in refused_by)
        assert tested.over[each.name] == sum(each.name in names for names in over)


def test_the_first_refusal_and_the_busiest_window_are_told():
    tested = side(plan(limit("hour", 2, "hour")))
    for at in (0, 1, 2, HOUR, HOUR + 1, HOUR + 2, HOUR + 3, 2 * HOUR):
        tested.ask(asked(START + at))
    assert (tested.first, tested.busiest) == ({"hour": START + 2}, {"hour": (START + HOUR, 2)})


def test_a_repeat_under_an_idempotency_key_counts_as_a_request_and_gives_its_units_back():
    tested = side(plan(limit("q", 2, "day", unit="quota"), limit("r", 3, "day")), billing_mode="quota")
    repeat = {"sent": False, "outcome": "served"}
    assert [tested.ask(asked(START, **repeat)), tested.ask(asked(START, **repeat)), tested.ask(asked(START))] == [
        True
    ] * 3
    assert not tested.ask(asked(START))
    assert tested.last_refused_by == ("r",)


def test_a_spend_cap_holds_the_price_and_keeps_what_was_charged():
    caps = (limit("spend_cap.day", 250, "day", unit="credits"),)
    tested = side(plan(prices={FORECAST: 100}), balance=10_000)
    tested._organization = replace(tested._organization, spend_caps=caps)
    answers = [200, 500, 500, 200, 200]
    assert [tested.ask(asked(START + n, status=status)) for n, status in enumerate(answers)] == [True] * 4 + [False]
    assert (tested.purse.spent, tested.last_refused_by) == (200, ("spend_cap.day",))


def test_what_a_key_may_spend_is_its_own():
    own = {KEYS[0]: (limit("key_spend_cap.day", 100, "day", scope="key", unit="credits"),)}
    tested = side(plan(prices={FORECAST: 100}), balance=10_000, own_caps=own)
    assert [tested.ask(asked(START + n, key_id=KEYS[n % 2])) for n in range(4)] == [True, True, False, True]


def test_credits_that_came_later_are_there_later_and_included_ones_go_first_and_come_each_month():
    purse = Purse(50, [(START + HOUR, 100)], included=100, anchor=datetime(2026, 1, 25, 12, tzinfo=UTC).timestamp())
    tested = side(plan(prices={FORECAST: 100}), purse=purse)
    at = [0, 1, HOUR, HOUR + 1, 12 * HOUR - 1, 12 * HOUR, 12 * HOUR + 1]
    assert [tested.ask(asked(START + n)) for n in at] == [True, False, True, False, False, True, False]
    assert (purse.spent, purse.emptied_at) == (100, START + 1)


def test_a_service_that_is_gone_costs_nothing_and_is_still_limited():
    tested = side(plan(limit("hour", 1, "hour")), offered=services())
    assert [tested.ask(asked(START, service_id=OTHER, operation_id=None)) for _ in range(2)] == [True, False]


def test_a_request_that_has_ended_makes_room_for_one_that_begins_in_that_moment():
    tested = side(plan(limit("c", 1, "concurrent")))
    assert [tested.ask(asked(START + at, total_us=10)) for at in (0, 9, 10)] == [True, False, True]
