"""The oracle sees what it must see: each promise broken on purpose, and kept by the narrowest margin."""

from dataclasses import replace

import pytest

from domain.quotas.costs import Cost
from domain.spend_caps import cap_limits
from tests.leases.admissions import ADMITTED, DONE, UNCHARGED, Admission
from tests.leases.history import Fault, History
from tests.leases.oracle import breaches
from tests.leases.worker import Target
from tests.snapshots import key, limit, plan

HOUR = 3_600 * 480_000
"""Begin of some hour."""


def admitted(*moments: float, step: float = 0.0, worker: int = 0, took: float = 0.0) -> list[Admission]:
    return [Admission(at, at + took, step, ADMITTED, worker, 0, number) for number, at in enumerate(moments)]


def judge(sold, log, **changes):
    history = History(began=HOUR - 7_200, workers=2, ended=HOUR + 90_000)
    for name, value in changes.items():
        setattr(history, name, value)
    return breaches([Target(key(), plan(sold))], log, history)


def test_one_more_than_the_amount_in_a_fixed_window():
    assert judge(limit("hour", 2), admitted(HOUR - 1, HOUR - 1, HOUR, HOUR + 3_599)) == []
    assert judge(limit("hour", 2), admitted(HOUR, HOUR + 1, HOUR + 3_599))
    assert judge(limit("hour", 2, shadow=True), admitted(HOUR, HOUR + 1, HOUR + 3_599)) == []
    assert judge(limit("day", 2), admitted(HOUR, HOUR + 1, HOUR + 2))


@pytest.mark.parametrize(("period", "length"), [("second", 1.0), ("minute", 60.0)])
def test_one_more_than_the_amount_in_any_rolling_window(period, length):
    assert judge(limit(period, 2), admitted(HOUR, HOUR + 0.5, HOUR + length, HOUR + length + 0.5)) == []
    assert judge(limit(period, 2), admitted(HOUR, HOUR + 0.5, HOUR + length - 0.01))


def test_a_decision_that_may_have_been_outside_is_not_held_against_a_window():
    assert judge(limit("second", 1), admitted(HOUR, HOUR + 0.9, took=0.2)) == []
    assert judge(limit("hour", 1), admitted(HOUR, HOUR + 3_599.9, took=0.2)) == []


def test_a_clock_that_is_set_back_opens_no_window_again():
    steps = [(HOUR + 10, -3_600.0)]
    stretch = {"began": HOUR, "ended": HOUR + 20, "steps": steps}
    assert judge(limit("hour", 2), admitted(HOUR, HOUR) + admitted(HOUR + 11, HOUR + 12, step=-3_600), **stretch) == []
    log = admitted(HOUR, HOUR) + admitted(HOUR + 11, HOUR + 12, HOUR + 13, step=-3_600)
    assert judge(limit("hour", 2), log, **stretch)
    assert judge(limit("second", 2), admitted(HOUR + 9.9, HOUR + 10.1, HOUR + 10.2, step=0), **stretch)


def test_a_clock_that_is_set_forward_lets_leased_permits_be_spent_and_no_more():
    stretch = {"steps": [(HOUR + 10, 5.0)]}
    log = admitted(HOUR + 9.9, HOUR + 9.9, HOUR + 10.05, HOUR + 10.05, HOUR + 10.06, HOUR + 10.06)
    assert judge(limit("second", 2), log, **stretch) == []
    assert judge(limit("second", 2), [*log, *admitted(HOUR + 10.07)], **stretch)


def test_a_fault_widens_only_the_windows_that_it_touches():
    lost = {"faults": [Fault(HOUR + 5, HOUR + 5, lost=True)]}
    assert judge(limit("hour", 2), admitted(*[HOUR + 4] * 2, *[HOUR + 6] * 2), **lost) == []
    assert judge(limit("hour", 2), admitted(*[HOUR + 4] * 2, *[HOUR + 6] * 3), **lost)
    assert judge(limit("hour", 2), admitted(*[HOUR + 3_601] * 3), **lost)
    away = {"faults": [Fault(HOUR + 5, HOUR + 9, alone=frozenset({0, 1}))]}
    assert judge(limit("hour", 3), admitted(*[HOUR + 4] * 3, *[HOUR + 6] * 4), **away) == []
    assert judge(limit("hour", 3), admitted(*[HOUR + 4] * 3, *[HOUR + 6] * 5), **away)


def test_one_more_than_the_cap_in_progress_and_what_death_frees():
    cap = limit("concurrent", 2)
    ends = [Admission(HOUR + 5, HOUR + 5, 0, DONE, 0, 0, number) for number in range(2)]
    assert judge(cap, [*admitted(HOUR, HOUR), *ends, *admitted(HOUR + 5, HOUR + 6, worker=1)]) == []
    assert judge(cap, [*admitted(HOUR, HOUR), *ends, *admitted(HOUR + 4, worker=1)])
    dead = {"deaths": [(HOUR + 3, 0)]}
    assert judge(cap, [*admitted(HOUR, HOUR), *admitted(HOUR + 4, HOUR + 4, worker=1)], **dead) == []


def weighted(caller, sold, costs, log, **changes):
    history = History(began=HOUR - 7_200, workers=2, ended=HOUR + 90_000)
    for name, value in changes.items():
        setattr(history, name, value)
    return breaches([Target(caller, sold, None, None, cost) for cost in costs], log, history)


def of(bucket: int, log: list[Admission]) -> list[Admission]:
    return [replace(entry, bucket=bucket, number=entry.number + 100 * bucket) for entry in log]


def test_one_unit_more_than_a_quota_has():
    caller = replace(key(), billing_mode="quota")
    sold, costs = plan(replace(limit("day", 8), unit="quota")), [Cost(3), Cost(1), Cost(0)]
    free = of(2, admitted(*[HOUR] * 9))
    assert weighted(caller, sold, costs, [*admitted(HOUR, HOUR), *of(1, admitted(HOUR, HOUR)), *free]) == []
    assert weighted(caller, sold, costs, [*admitted(HOUR, HOUR), *of(1, admitted(HOUR, HOUR, HOUR))])
    assert weighted(caller, sold, costs, admitted(HOUR, HOUR, HOUR))
    # Who pays with credits has none.
    assert weighted(key(), sold, costs, admitted(HOUR, HOUR, HOUR)) == []


def test_one_request_that_takes_more_than_a_share_may_be_admitted_without_redis():
    caller = replace(key(), billing_mode="quota")
    sold, away = plan(replace(limit("day", 8), unit="quota")), [Fault(HOUR + 5, HOUR + 9, alone=frozenset({0}))]
    log = admitted(HOUR + 4, HOUR + 6)
    assert weighted(caller, sold, [Cost(7)], log, faults=away) == []
    assert weighted(caller, sold, [Cost(7)], [*log, *admitted(HOUR + 7)], faults=away)


def test_a_spend_cap_counts_what_was_charged():
    caller, sold, costs = (
        replace(key(), spend_caps=cap_limits(None, None, 10, None)),
        plan(limit("hour", 9)),
        [Cost(0, 5)],
    )
    log = admitted(HOUR, HOUR, HOUR)
    assert weighted(caller, sold, costs, log[:2]) == []
    assert weighted(caller, sold, costs, log)
    assert weighted(caller, sold, costs, [*log, Admission(HOUR, HOUR, 0, UNCHARGED, 0, 0, 1)]) == []
    assert weighted(caller, sold, costs, [*log, Admission(HOUR, HOUR, 0, UNCHARGED, 1, 0, 1)])
