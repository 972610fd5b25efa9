"""The Lua step against a plain oracle, on a real server whose clock the test sets."""

import contextlib
from collections import Counter

import pytest
import redis
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from domain.quotas.limiter import SCRIPT
from domain.quotas.windows import WINDOW_SECONDS, bounds

# The server's clock cannot be set: the script under test reads this key instead of TIME. Its moments lie in the
# future, because counters expire by the server's own clock.
CLOCKED = SCRIPT.replace('redis.call("TIME")', '{ redis.call("GET", "clock"), "0" }')
LIMITS = st.lists(
    st.tuples(st.sampled_from(list(WINDOW_SECONDS)), st.integers(1, 6), st.booleans()), min_size=1, max_size=5
)
STEPS = st.lists(st.tuples(st.sampled_from([0, 0, 0, 1, 59, 3_600, 86_400, 2_592_000]), st.integers(0, 2)), max_size=30)


@pytest.fixture(scope="module")
def server(redis_url):
    with contextlib.closing(redis.Redis.from_url(redis_url)) as client:
        yield client
        client.delete("clock")


def consume(server, name, limits, cost):
    keys = [f"{{{name}}}:{index}" for index in range(len(limits))]
    arguments = [cost]
    for period, amount, enforced in limits:
        arguments += [amount, 0 if period == "month" else WINDOW_SECONDS[period], int(enforced)]
    return server.eval(CLOCKED, len(keys), *keys, *arguments)


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.integers(1_900_000_000, 4_102_444_800), LIMITS, STEPS)
def test_every_decision_is_that_of_the_oracle(server, begin, limits, steps):
    server.flushdb()
    counts: Counter[tuple[int, int]] = Counter()
    now = begin
    for pause, cost in steps:
        now += pause
        server.set("clock", now)
        windows = [bounds(period, now) for period, _, _ in limits]
        used = [counts[index, start] for index, (start, _) in enumerate(windows)]
        taken = all(not enforced or used[index] + cost <= amount for index, (_, amount, enforced) in enumerate(limits))
        if taken:
            for index, (start, _) in enumerate(windows):
                counts[index, start] += cost
        answer = consume(server, "o", limits, cost)
        assert bool(answer[0]) == taken
        assert answer[1::2] == [counts[index, start] for index, (start, _) in enumerate(windows)]
        assert answer[2::2] == [(end - now) * 1_000 for _, end in windows]


def test_a_clock_that_steps_back_finds_the_window_as_it_was(server):
    server.flushdb()
    limits = [("hour", 1, True)]
    moments = [7_200, 7_200 + 3_600, 7_200]
    taken = []
    for moment in moments:
        server.set("clock", moment + 2_000_000_000 // 3_600 * 3_600)
        taken.append(consume(server, "step", limits, 1)[0])
    assert taken == [1, 1, 0]


def test_every_counter_ends_by_itself(server):
    server.flushdb()
    server.set("clock", int(server.time()[0]))
    consume(server, "ttl", [(period, 5, True) for period in WINDOW_SECONDS], 1)
    for name in server.keys("{ttl}*"):
        assert 0 < server.ttl(name) <= 33 * 86_400


def test_wrong_arguments_are_refused(server):
    with pytest.raises(redis.ResponseError, match="three arguments"):
        server.eval(SCRIPT, 2, "{a}1", "{a}2", 1, 5, 60, 1)
