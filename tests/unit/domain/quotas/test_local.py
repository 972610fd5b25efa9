from hypothesis import given
from hypothesis import strategies as st

from domain.quotas.local import Counters, LocalLimiter
from tests.snapshots import key, limit, plan


@given(st.integers(1, 40), st.integers(1, 9))
def test_all_workers_together_admit_the_amount_rounded_up_to_whole_shares(amount, workers):
    sold, caller = plan(limit("day", amount)), key()
    limiters = [LocalLimiter(workers) for _ in range(workers)]
    admitted = sum(
        limiter.take(caller, sold.limits, [1] * len(sold.limits)).allowed
        for limiter in limiters
        for _ in range(amount + 5)
    )
    assert amount <= admitted <= amount + workers - 1


def test_a_refused_request_consumes_nothing_in_any_window():
    limiter, caller = LocalLimiter(1), key()
    sold = plan(limit("day", 2), limit("month", 10), limit("hour", 1, shadow=True))
    verdicts = [limiter.take(caller, sold.limits, [1] * len(sold.limits)) for _ in range(5)]
    assert [verdict.allowed for verdict in verdicts] == [True, True, False, False, False]
    assert [window.used for window in verdicts[-1].windows] == [2, 2, 2]
    assert verdicts[-1].violated == ("day",)
    assert verdicts[-1].shadow_violated == ("hour",)
    assert verdicts[-1].source == "local"
    assert 0 < verdicts[-1].retry_after_seconds <= 86_400


def test_looking_consumes_nothing():
    limiter, caller, sold = LocalLimiter(1), key(), plan(limit("day", 3))
    assert [limiter.take(caller, sold.limits, [0]).windows[0].remaining for _ in range(5)] == [3] * 5


def test_a_limit_per_key_is_not_shared_and_one_per_organization_is():
    limiter, one = LocalLimiter(1), key()
    other = key(one.organization_id)
    sold = plan(limit("day", 1, scope="key"), limit("month", 10))
    assert limiter.take(one, sold.limits, [1] * len(sold.limits)).allowed
    assert not limiter.take(one, sold.limits, [1] * len(sold.limits)).allowed
    verdict = limiter.take(other, sold.limits, [1] * len(sold.limits))
    assert verdict.allowed
    assert [window.used for window in verdict.windows] == [1, 2]


def test_ended_windows_leave_memory():
    counters = Counters()
    for number in range(30_000):
        counters.incr(f"gone{number}", -1.0)
    assert len(counters.expirations) <= 10_000


@given(st.integers(1, 60), st.integers(1, 6), st.lists(st.integers(0, 70), min_size=1, max_size=60))
def test_a_share_in_units_is_rounded_up_to_one_request(amount, workers, costs):
    sold, caller, limiter = plan(limit("day", amount)), key(), LocalLimiter(workers)
    taken = [cost for cost in costs if limiter.take(caller, sold.limits, [cost]).allowed]
    share = -(-amount // workers)
    assert max(taken, default=0) <= amount
    first = next((cost for cost in taken if cost), 0)
    assert sum(taken) <= max(share, first)
    # Whatever fits the share alone is admitted while nothing else was.
    assert taken or all(cost > amount for cost in costs)


def test_each_limit_takes_its_own():
    limiter, caller = LocalLimiter(1), key()
    sold = plan(limit("day", 10), limit("month", 100))
    assert [limiter.take(caller, sold.limits, [1, 40]).allowed for _ in range(3)] == [True, True, False]
    verdict = limiter.take(caller, sold.limits, [1, 40])
    assert verdict.violated == ("month",)
    assert [window.used for window in verdict.windows] == [2, 80]
