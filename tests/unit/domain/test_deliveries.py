"""What an answer costs by what was delivered of it: exactly, never more than was taken; and which events are counted."""

from dataclasses import replace
from fractions import Fraction
from itertools import pairwise
from typing import cast
from uuid import uuid4

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from domain.charging import is_charged, is_paid_in_part
from domain.cost_fields import Asked
from domain.cost_formulas import CostFormula, delivery_of, requested_price, settles_late
from domain.credits.wallet import Wallet
from domain.deliveries import Delivery, EventCount
from domain.snapshots import OperationSnapshot

CAP = 5_000_000
ASKED: Asked = b"n=3", [], b"/a", 0


def delivery(text: str, cap: int = CAP, asked: Asked = ASKED) -> Delivery:
    made = CostFormula(text, "/a").delivery(cap, asked)
    assert made is not None
    return made


@pytest.mark.parametrize(
    ("text", "sent", "events", "micro"),
    [
        ("0.01 * answer.events", 0, 0, 0),
        ("0.01 * answer.events", 90, 7, 70_000),
        ("0.01 * answer.events", 90_000, 501, CAP),
        ("0.01 * answer.events", 90, None, None),
        ("0.01 * answer.events", 0, None, 0),
        ("0.01 * answer.events ? 4", 90, None, 40_000),
        ("0.01 * answer.events ? 4", 90, 7, 70_000),
        ("0.02 + 0.01 * answer.events ? 4 + 0.1 * answer.events ? 5", 90, None, 560_000),
        ("0.000001 * answer.bytes", 1_234_567, None, 1_234_567),
        ("0.1 * ceil(answer.bytes / 1000)", 1_001, None, 200_000),
        ("0.1 * ceil(answer.bytes / 1000)", 10**15, None, CAP),
        ("0.5 - 0.1 * answer.bytes", 9, None, 0),
        ("0.25 + 0.1 * query.n * answer.bytes", 2, None, 850_000),
        ("min(0.01 * answer.events, 0.05 * query.n)", 2, 100, 150_000),
    ],
)
def test_what_was_delivered_is_priced(text: str, sent: int, events: int | None, micro: int | None) -> None:
    assert delivery(text).cost(sent, events) == micro


@pytest.mark.parametrize("asked", [(b"", [], b"/a", 0), (b"n=03", [], b"/a", 0), (b"n=1&n=1", [], b"/a", 0)])
def test_a_request_that_cannot_be_read_costs_the_whole_price_whatever_is_delivered(asked: Asked) -> None:
    formula = CostFormula("0.01 * query.n * answer.bytes", "/a")
    assert formula.delivery(CAP, asked) is None
    assert formula.price(CAP, asked) == CAP


def test_until_the_end_the_most_is_due() -> None:
    operation = OperationSnapshot(uuid4(), "o", "GET", "/a", CAP, reserved=False, enabled=True)
    late = replace(operation, cost_formula="0.01 * answer.events")
    assert requested_price(late, 777, ASKED) == 777
    assert delivery_of(late, 777, ASKED) is not None
    for text in ("0.01 * query.n", "0.01 * nonsense"):
        assert delivery_of(replace(operation, cost_formula=text), 777, ASKED) is None
        assert not settles_late(text, "/a")
    assert settles_late("answer.bytes", "/a")
    assert not settles_late("", "/a")


factors = st.integers(0, 3_000_000)


@given(factors, factors, factors, st.integers(0, 10**10), st.integers(0, 10**6), st.integers(0, 10**13))
def test_settling_is_exact_and_never_over_what_was_taken(
    base: int, by_byte: int, by_event: int, sent: int, events: int, cap: int
) -> None:
    def credits_of(micro: int) -> str:
        return f"{micro // 10**6}.{micro % 10**6:06d}"

    text = f"{credits_of(base)} + {credits_of(by_byte)} * answer.bytes + {credits_of(by_event)} * answer.events"
    cost = delivery(text, cap).cost(sent, events)
    events = events if sent else 0
    exact = (Fraction(base, 10**6) + Fraction(by_byte, 10**6) * sent + Fraction(by_event, 10**6) * events) * 10**6
    assert cost == min(exact, cap)
    assert type(cost) is int
    wallet = Wallet(uuid4(), lambda _: None)
    wallet.left = cap
    assert wallet.take(cap)
    wallet.settle(cap, cost)
    assert (wallet.left, wallet.held, wallet.spent) == (cap - cost, 0, cost)


@given(st.lists(st.integers(0, 5_000), max_size=20), factors, st.integers(0, 10**9))
def test_who_got_more_pays_no_less_where_no_part_has_a_minus(pieces: list[int], by_byte: int, cap: int) -> None:
    made = delivery(f"0.{by_byte % 10**6:06d} * answer.bytes + 0.1 * ceil(answer.bytes / 777)", cap)
    totals = [sum(pieces[:number]) for number in range(len(pieces) + 1)]
    costs = [cast("int", made.cost(sent, None)) for sent in totals]
    assert all(one <= other <= cap for one, other in pairwise([*costs, costs[-1]]))


@given(
    st.sampled_from(["success", "response"]),
    st.sampled_from(["served", "refused", "failed", "cut", "gone"]),
    st.sampled_from([101, 200, 302, 404, 500]),
    st.booleans(),
)
def test_what_is_paid_in_part_is_what_is_paid_when_a_client_leaves(
    charge_on: str, outcome: str, status: int, arrived: bool
) -> None:
    def paid(sent: int) -> bool:
        return is_paid_in_part(charge_on, outcome, status, headers_arrived=arrived, sent=sent)

    left = "refused" if outcome == "refused" else "gone"
    assert paid(1) == is_charged(charge_on, left, status, headers_arrived=arrived)
    assert paid(0) == is_charged(charge_on, outcome, status, headers_arrived=arrived)
    assert paid(1) >= paid(0)


# -- events


def plainly(stream: bytes) -> int:
    """By the rules of Server-Sent Events, with the whole stream at hand."""
    lines = stream.removeprefix(b"\xef\xbb\xbf").replace(b"\r\n", b"\n").replace(b"\r", b"\n").split(b"\n")[:-1]
    number, data = 0, False
    for line in lines:
        if line:
            data = data or line.partition(b":")[0] == b"data"
        else:
            number, data = number + data, False
    return number


streams = st.lists(
    st.sampled_from([
        b"data: x", b"data", b"data:", b"dat", b"database: x", b" data: x", b"datax", b": ping", b"event: e", b"id: 1", b"\n",
        b"\r", b"\r\n", b"\n\n", b"\r\r", b"\r\n\r\n", b"\xef\xbb\xbf", b"x" * 30, b"a",
    ])
).map(b"".join)  # fmt: skip


@given(streams, st.lists(st.integers(0, 400)))
@example(b"data: x\r\n\r\ndata: y\r\n\r\n", [8, 9, 10, 11])
@example(b"\xef\xbb\xbfdata: x\n\n", [1, 2, 5])
def test_events_are_counted_wherever_the_stream_is_cut(stream: bytes, cuts: list[int]) -> None:
    counted = EventCount()
    places = [0, *sorted(min(cut, len(stream)) for cut in cuts), len(stream)]
    for begun, ended in pairwise(places):
        counted.feed(stream[begun:ended])
    assert counted.number == plainly(stream)


def test_a_stream_without_line_ends_is_not_kept() -> None:
    counted = EventCount()
    for _ in range(100):
        counted.feed(b"data: " + b"x" * 10_000)
    assert len(counted._line) < 20
    counted.feed(b"\n\n")
    assert counted.number == 1


def test_comments_heartbeats_and_what_has_no_end_are_no_events() -> None:
    counted = EventCount()
    counted.feed(b": ping\n\nevent: only\n\nid: 7\nretry: 10\n\n\n\ndata: 1\ndata: 2\n\ndata: cut\n")
    assert counted.number == 1
