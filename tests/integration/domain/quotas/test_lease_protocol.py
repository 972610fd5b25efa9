"""The lease script and a worker's own arithmetic against plain counting, with lost answers, late calls, deaths, clock steps.

The server's clock cannot be set: the script under test reads it from a key. Time stands still unless a step moves it.
"""

import contextlib
import itertools
from collections import Counter
from types import SimpleNamespace

import pytest
import redis
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from domain.quotas.account import PER_WINDOW
from domain.quotas.allowance import Allowance
from domain.quotas.book import Entry
from domain.quotas.bucket import put_back
from domain.quotas.dead_books import last_words
from domain.quotas.flights import SCRIPT
from domain.quotas.shapes import SHAPES
from domain.redis_keys import marker_of, window_key
from tests.snapshots import key, limit, plan

CLOCKED = SCRIPT.replace(
    'redis.call("TIME")',
    '{ math.floor(redis.call("GET", "clock") / 1000), (redis.call("GET", "clock") % 1000) * 1000 }',
)
BEGIN_MS = 2_000_000_000_000 // 86_400_000 * 86_400_000 + 1_234
LENGTH_MS = {"second": 1_000, "minute": 60_000, "hour": 3_600_000, "day": 86_400_000}


@pytest.fixture(scope="module")
def server(redis_url):
    with contextlib.closing(redis.Redis.from_url(redis_url)) as client:
        yield client
        client.flushdb()


class Worker:
    """A holder of one window, as a limiter would drive it."""

    def __init__(self, world, number):
        self.world, self.holder, self.sequence = world, f"holder{number}", 0
        account = SimpleNamespace(mark=lambda allowance: None, watch=lambda allowance: None, busy=False)
        self.held = Allowance(account, world.name, world.limit, world.caller, plan(world.limit))
        self.held.stride = 1
        self.late, self.spent = [], []

    def write(self, need=0, *, weight=1, giving=False):
        self.sequence += 1
        self.held.returning = giving
        words = self.held.words(self.world.now, self.world.server_ms / 1000, self.sequence)
        bundles = [f"{need} 1 {weight}"] if need else []
        return [2, self.world.name, marker_of(self.world.name), self.holder, self.sequence, 0, words, *bundles]

    def call(self, need=0, *, weight=1, lost=False, giving=False, travel=0.0):
        """One call; `lost`: its answer never comes. `travel`: seconds from the script's run to the answer's arrival."""
        sent, arguments = self.world.now, self.write(need, weight=weight, giving=giving)
        answer = self.world.run(arguments)
        self.world.pass_time(travel)
        if not lost:
            assert answer[0] == 0
            self.held.absorb(answer[1 : 1 + PER_WINDOW], sent, self.world.now)

    def spend(self, weight=1):
        if self.held.left >= weight and self.world.now < self.held.deadline:
            self.held.left -= weight
            self.held.spent_at = self.world.now
            self.spent.append((self.world.now, self.held.tag, weight))
            self.world.admitted.append(self.spent[-1])

    def undo(self):
        """The last request was not charged."""
        if self.spent:
            moment, _, weight = undone = self.spent.pop()
            before = self.held.left
            put_back(self.held, weight, moment)
            if self.held.left != before:
                self.world.admitted.remove(undone)

    def entry(self):
        held = self.held
        shape = SHAPES[held.limit.period]
        words = f"{held.kind} {held.amount} {shape.length} 1{shape.tail}"
        return Entry(held.name, words, held.left, held.kept, held.tag)


class World:
    def __init__(self, server, period, amount, workers):
        server.flushdb()
        self.server, self.caller = server, key()
        self.limit = limit(period, amount)
        self.name = window_key(self.caller.organization_id, self.limit.id, None, period)
        self.now, self.server_ms = 1_000.0, BEGIN_MS
        self.admitted = []
        self.numbers = itertools.count()
        self.workers = [Worker(self, next(self.numbers)) for _ in range(workers)]
        self.dead = []

    def pass_time(self, seconds):
        self.now += seconds
        self.server_ms += round(seconds * 1000)

    def run(self, arguments):
        self.server.set("clock", self.server_ms)
        return self.server.eval(CLOCKED, *arguments)

    def settle_dead(self):
        for worker in self.dead:
            for arguments in last_words(worker.holder, [worker.entry()]):
                self.run(arguments)

    def check(self):
        period, amount = self.limit.period, self.limit.amount
        if period in {"hour", "day"}:
            counts = Counter()
            for _, tag, weight in self.admitted:
                counts[tag] += weight
            assert all(count <= amount for count in counts.values())
            return
        first = inside = 0
        for moment, _, weight in self.admitted:
            inside += weight
            while self.admitted[first][0] <= moment - LENGTH_MS[period] / 1000:
                inside -= self.admitted[first][2]
                first += 1
            assert inside <= amount, (self.admitted[first], moment)


STEPS = st.lists(
    st.tuples(
        st.sampled_from(
            [
                "spend",
                "spend",
                "spend",
                "call",
                "give",
                "lose",
                "late",
                "arrive",
                "kill",
                "settle",
                "pass",
                "back",
                "undo",
            ]
        ),
        st.integers(0, 2),
        st.sampled_from([1, 1, 2, 3, 4, 40]),
        st.sampled_from([0.0, 0.03, 0.09, 0.1, 0.5, 0.95, 1.0, 3.0, 58.0, 3_600.0]),
        st.sampled_from([1, 1, 1, 2, 3, 7]),
    ),
    max_size=60,
)


def take(world, step):
    what, who, much, seconds, weight = step
    worker = world.workers[who]
    if what == "spend":
        for _ in range(much):
            worker.spend(weight)
    elif what == "undo":
        worker.undo()
    elif what in {"call", "give", "lose"}:
        worker.call(much, weight=weight, lost=what == "lose", giving=what == "give", travel=min(seconds, 0.1))
    elif what == "late":
        worker.late.append(worker.write(much, weight=weight))
    elif what == "arrive" and worker.late:
        world.run(worker.late.pop(0))
    elif what == "kill":
        world.dead.append(worker)
        world.workers[who] = Worker(world, next(world.numbers))
        world.workers[who].late = worker.late
    elif what == "settle":
        world.settle_dead()
    elif what == "pass":
        world.pass_time(seconds)
    elif what == "back":
        world.server_ms -= round(seconds * 1000)
    world.check()


@settings(max_examples=300, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.sampled_from(["second", "minute", "hour"]), st.integers(1, 40), STEPS)
def test_never_one_too_many_and_nothing_stays_stranded(server, period, amount, steps):
    world = World(server, period, amount, workers=3)
    for step in steps:
        take(world, step)
    if period != "hour":
        return
    # Everybody gives back; then exactly what was not admitted is still to be had in the window.
    world.settle_dead()
    for worker in world.workers:
        worker.call(giving=True)
    last = Worker(world, next(world.numbers))
    last.call(need=amount)
    admitted = sum(weight for _, tag, weight in world.admitted if tag == last.held.tag)
    # What a lease had left when the clock stepped out of its window may have been spent.
    stepped_back = any(step[0] == "back" for step in steps)
    assert last.held.left <= amount - admitted if stepped_back else last.held.left == amount - admitted


@pytest.mark.parametrize("period", ["hour", "day"])
def test_a_clock_that_steps_back_finds_the_window_as_it_was(server, period):
    world = World(server, period, 3, workers=1)
    worker = world.workers[0]
    for step_ms in (0, LENGTH_MS[period], -LENGTH_MS[period], LENGTH_MS[period]):
        world.server_ms += step_ms
        worker.call(need=3)
        for _ in range(3):
            worker.spend()
    assert len(world.admitted) == 6
    world.check()


def test_every_key_of_an_organization_ends_by_itself(server):
    for period in LENGTH_MS:
        world = World(server, period, 5, workers=1)
        world.server_ms = int(server.time()[0]) * 1000
        world.workers[0].call(need=1)
        names = list(server.keys("pe:*"))
        assert len(names) == 2
        for name in names:
            assert 0 < server.ttl(name) <= 70 * 86_400


@pytest.mark.parametrize("offset", [0.0, 0.05, 0.099])
@pytest.mark.parametrize(("period", "length", "slot"), [("second", 1.0, 0.1), ("minute", 60.0, 3.0)])
def test_a_sliding_window_is_full_until_it_is_over_and_empty_one_slot_later(server, period, length, slot, offset):
    world = World(server, period, 4, workers=2)
    world.server_ms = BEGIN_MS // 60_000 * 60_000 + round(offset * slot * 10_000)
    first, second = world.workers
    first.call(need=4)
    for _ in range(4):
        first.spend()
    world.pass_time(length - 0.001)
    for worker in world.workers:
        worker.call(need=4)
        assert worker.held.left == 0
    world.pass_time(slot + 0.001)
    second.call(need=4)
    assert second.held.left == 4
    world.check()


def test_a_call_that_arrives_late_changes_nothing(server):
    world = World(server, "hour", 6, workers=2)
    first, second = world.workers
    first.call(need=2)
    first.late.append(first.write(1))
    first.call(need=3)
    for _ in range(3):
        first.spend()
    first.call(giving=True)
    assert world.run(first.late.pop()) == [-1]
    second.call(need=6)
    assert second.held.left == 3


def test_what_was_granted_without_being_heard_of_comes_back_with_the_next_call(server):
    world = World(server, "day", 6, workers=2)
    first, second = world.workers
    first.call(need=4, lost=True)
    second.call(need=3)
    assert second.held.left == 2
    first.call(giving=True)
    second.call(need=6)
    assert second.held.left == 6
