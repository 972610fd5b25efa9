"""Windows in units: operations that take 1, 3 and 7 of them use up exactly what there is, whatever dies; so do spend caps."""

import asyncio
import random
import tempfile
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest

from domain.quotas.costs import Cost
from domain.spend_caps import cap_limits
from tests.leases.admissions import ADMITTED
from tests.leases.exhausting import exhaust, quiet
from tests.leases.machine import Ground
from tests.leases.oracle import charged
from tests.leases.scene import Scene
from tests.leases.worker import Target
from tests.snapshots import key, limit, plan

UNITS = (1, 3, 7)
PRICES = (10_000, 30_000, 70_000)
QUOTA = replace(limit("month", 1_000), unit="quota")
CAP = 2_000_000
WORKERS = 4
CHOICE = random.Random(7)
Open = Callable[..., Any]


@pytest.fixture
def opened(ground: Ground) -> Open:
    """`async with opened(limits, costs, caps) as scene:` four workers, and for each cost an operation of one key."""

    @asynccontextmanager
    async def open_(limits: Any, costs: Any, caps: Any = (None,) * 4) -> AsyncIterator[Scene]:
        with tempfile.TemporaryDirectory(prefix="paid-endpoint-weights-") as folder:
            caller = replace(key(), billing_mode="quota", spend_caps=cap_limits(*caps))
            sold = plan(*limits)
            targets = [Target(caller, sold, None, UUID(int=number), cost) for number, cost in enumerate(costs)]
            scene = Scene(Path(folder), ground.nursery, ground.clock, ground.server, targets, WORKERS)
            ground.clock.step(-ground.clock.steps)
            if (left := scene.seconds_to_edge(0)) < 120.0:
                await scene.tick(left + 1)
            for _ in range(WORKERS):
                await scene.birth()
            try:
                yield scene
                scene.check()
            finally:
                for worker in list(scene.alive):
                    await scene.kill(worker)
                ground.server.command("FLUSHALL")

    return open_


def spent(scene: Scene, takes: tuple[int, ...]) -> int:
    return sum(takes[entry.bucket] for entry in scene.log() if entry.kind == ADMITTED)


async def until_refused(scene: Scene, bucket: int) -> None:
    """Ask all workers until none of them admits one, three times in a row."""
    refused = 0
    for _ in range(400):
        answers = await scene.everyone(bucket, CHOICE.randint(1, 6))
        refused = 0 if any(answer.allowed for answer in answers) else refused + 1
        if refused == 3:
            return
        await scene.tick(0.05)
    raise AssertionError("there is no end of it")


async def test_a_quota_is_used_up_to_the_last_unit_and_never_beyond(opened: Open) -> None:
    async with opened([QUOTA], [Cost(units, 0) for units in UNITS]) as scene:
        for bucket in (2, 1, 0):
            await until_refused(scene, bucket)
            assert 1_000 - spent(scene, UNITS) < UNITS[bucket], "less than one more is left, on whichever worker it lay"
        assert spent(scene, UNITS) == 1_000
        refused = await scene.everyone(2, 1)
        assert {answer.violated for answer in refused} == {("month",)}


async def test_all_costs_at_once_from_all_workers(opened: Open) -> None:
    async with opened([QUOTA], [Cost(units, 0) for units in UNITS]) as scene:
        for _ in range(60):
            asked = (scene.ask(worker, CHOICE.randrange(3), CHOICE.randint(1, 8)) for worker in scene.alive)
            await asyncio.gather(*asked)
            await scene.tick(0.03)
        await until_refused(scene, 0)
        assert spent(scene, UNITS) == 1_000


async def test_a_remainder_is_for_cheaper_operations_while_a_dear_one_is_refused(opened: Open) -> None:
    async with opened([replace(QUOTA, amount=10)], [Cost(1, 0), Cost(4, 0)]) as scene:
        takes = 1, 4
        await until_refused(scene, 1)
        assert spent(scene, takes) == 8
        assert not any(answer.allowed for answer in await scene.everyone(1, 2))
        assert sum(answer.allowed for answer in await scene.everyone(0, 3)) == 2


async def test_more_than_the_amount_is_refused_at_once_and_takes_nothing(opened: Open) -> None:
    async with opened([replace(QUOTA, amount=10), limit("hour", 50)], [Cost(11, 0), Cost(0, 0)]) as scene:
        answers = await scene.everyone(0, 5)
        assert not any(answer.allowed for answer in answers)
        assert {answer.violated for answer in answers} == {("month",)}
        assert all(answer.milliseconds < 1_000 for answer in answers)
        states = await scene.alive[0].call("peek", 0)
        assert [(state.used, state.remaining) for state in states] == [(0, 10), (0, 50)]
        # What takes nothing of the quota is counted by the others alone.
        assert all(answer.allowed for answer in await scene.everyone(1, 5))
        states = await scene.alive[0].call("peek", 0)
        assert [state.used for state in states] == [0, 20]


async def test_killed_workers_and_a_wiped_server_take_nothing_with_them(opened: Open, capsys: Any) -> None:
    async with opened([QUOTA], [Cost(units, 0) for units in UNITS]) as scene:
        for turn in range(6):
            for _ in range(4):
                asked = (scene.ask(worker, CHOICE.randrange(3), CHOICE.randint(1, 3)) for worker in scene.alive)
                await asyncio.gather(*asked)
                await scene.tick(0.1)
            if turn == 3:
                scene.note_rollups()
                ground_before = spent(scene, UNITS)
                scene.server.command("FLUSHALL")
            await scene.kill(CHOICE.choice(scene.alive))
            await scene.birth()
        await quiet(scene, 0)
        before = spent(scene, UNITS)
        await until_refused(scene, 0)
        with capsys.disabled():
            print(
                f"\n  units at the wipe {ground_before}, before the end {before}, at last {spent(scene, UNITS)} of 1000"
            )
        assert spent(scene, UNITS) == 1_000


async def test_a_spend_cap_counts_what_was_charged_and_is_reached(opened: Open) -> None:
    caps = (None, CAP, CAP // 2, None)
    async with opened([limit("hour", 10**6)], [Cost(0, price) for price in PRICES], caps) as scene:
        for _ in range(12):
            for worker in scene.alive:
                bucket = CHOICE.randrange(3)
                await scene.ask(worker, bucket, 2, hold=True)
                # One of the two fails, and is not charged.
                await worker.call("done", bucket, 1, False)
                await worker.call("done", bucket, 1)
            await scene.tick(0.1)
        for bucket in (2, 1, 0):
            await until_refused(scene, bucket)
        counted = charged(cap_limits(*caps)[0], scene.log())
        assert len(counted) < sum(entry.kind == ADMITTED for entry in scene.log())
        assert sum(PRICES[entry.bucket] for entry in counted) == CAP // 2
        assert {answer.violated for answer in await scene.everyone(0, 1)} == {("key_spend_cap.day",)}


async def test_what_a_killed_worker_held_of_a_cap_comes_back_and_what_it_spent_does_not(opened: Open) -> None:
    caps = (CAP, None, None, None)
    async with opened([limit("hour", 10**6)], [Cost(0, price) for price in PRICES], caps) as scene:
        for _ in range(8):
            await scene.ask(scene.alive[0], 0, 5)
            await scene.tick(0.1)
        await scene.kill(scene.alive[0])
        await quiet(scene, 0)
        assert 40 + await exhaust(scene, 0, CHOICE) == CAP // PRICES[0]
