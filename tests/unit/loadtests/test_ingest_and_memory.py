"""What B7 and B8 make of what they saw."""

import time
from uuid import UUID, uuid4

import pytest

from loadtests.bench.audit import Audit
from loadtests.bench.ingest_report import BURST_FEW, STEADY, Live, Synthetic, judge
from loadtests.bench.memory import Sample, Soak, slope, thinned
from loadtests.bench.memory import judge as judge_memory
from loadtests.bench.wrk import Run
from loadtests.ingest.feed import Fed, dimensions
from loadtests.ingest.watch import Sample as Count
from loadtests.ingest.watch import Watch, exchanges

RUN = Run(300, 3_000_000, 0, 0, 0, 1, 1, 1, 1)


def live(watch: Watch) -> Live:
    return Live(RUN, watch, 3.0, Audit(300, 64, 300, 0, 0, 1.0))


def watch(*lags: float) -> Watch:
    counts = [Count(float(second), second * 100, second * 90, 0.0, 0.0) for second in range(3)]
    return Watch(lags=[(float(at), lag) for at, lag in enumerate(lags)], samples=counts)


def test_the_worst_lag_counts_and_a_row_that_never_came_is_the_worst():
    assert judge(live(watch(0.1, 1.9)), []).targets[0].held
    late = watch(0.1)
    late.waiting[uuid4()] = time.monotonic() - 9
    assert late.worst > 8
    assert not judge(live(late), []).targets[0].held


def test_nothing_seen_is_no_lag_of_zero():
    assert not judge(live(Watch()), []).targets[0].held


def test_rates_of_journals_written_by_hand_are_targets():
    fed = Fed(30_000, 0, 1_000_000_000, 0)
    by_hand = [Synthetic(BURST_FEW, 20, 0, fed, watch(0.2), 1.5, 2.0), Synthetic(STEADY, 20_000, 15_000, fed, watch(0.2), 2.1, None)]  # fmt: skip
    part = judge(live(watch(0.1)), by_hand)
    held = {target.name: target.held for target in part.targets}
    assert held == {"B7 lag": True, "B7 20 keys": True, "B7 20,000 keys": False, "B7 steady": True}
    assert part.faults == [f"{STEADY}: rollups not complete in time"]


def test_answered_requests_are_read_from_the_metrics():
    text = '# HELP x\npaid_endpoint_exchanges_total{service="a",outcome="served",status="2xx"} 41.0\npaid_endpoint_exchanges_total{service=""} 1.0\nother 7\n'
    assert exchanges(text) == 42


def test_rows_of_a_feed_are_of_as_many_keys_as_asked():
    who = dimensions(40)
    assert {len(one) for one in who} == {64}
    assert len({one[16:32] for one in who}) == 40
    assert len({UUID(bytes=one[:16]) for one in who}) == 2


def grown(per_second: float, count: int = 60) -> list[Sample]:
    return [Sample(float(second), 90.0, 50 + per_second * second) for second in range(count)]


def test_growth_is_per_minute_and_of_the_later_part():
    assert slope(grown(0.1)) == pytest.approx(6.0)
    early = [Sample(float(second), 90.0, min(50.0 + second, 60.0)) for second in range(60)]
    assert slope(early) == pytest.approx(0.0)
    assert slope([]) == 0.0


def test_memory_is_judged_by_its_greatest_and_its_growth():
    first = Sample(0.0, 80.0, 50.0)
    good = judge_memory(Soak(first, first, grown(0.0), first, 1000, 0), 60)
    assert [target.held for target in good.targets] == [True, True]
    assert [target.held for target in judge_memory(Soak(first, first, grown(0.1), first, 1000, 0), 60).targets] == [
        True,
        False,
    ]
    assert judge_memory(Soak(first, first, grown(0.0), first, 1000, 3), 60).faults


def test_a_table_has_few_lines_and_the_last_sample():
    samples = grown(0.0, 1000)
    assert len(thinned(samples, 12)) == 12
    assert thinned(samples, 12)[-1] is samples[-1]
