"""Told step by step: what a worker holds ahead of need can be had elsewhere at once, also when it is dead."""

import asyncio
import random
import tempfile
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.leases.exhausting import exhaust, quiet
from tests.leases.machine import Ground
from tests.leases.scene import Scene
from tests.snapshots import key, limit, plan

CHOICE = random.Random(1)


@pytest.fixture
async def scene(ground: Ground) -> AsyncIterator[Scene]:
    """Three workers and 300 an hour, of which the first has spent 10 and leased some ahead."""
    ground.clock.step(-ground.clock.steps)
    with tempfile.TemporaryDirectory(prefix="paid-endpoint-reach-") as folder:
        target = key(), plan(limit("hour", 300)), None, None
        made = Scene(Path(folder), ground.nursery, ground.clock, ground.server, [target], 3)
        if (left := made.seconds_to_edge(0)) < 60:
            await made.tick(left + 1)
        for _ in range(3):
            await made.birth()
        for _ in range(10):
            await made.ask(made.alive[0], 0)
            await made.tick(0.1)
        yield made
        made.check()
        for worker in list(made.alive):
            await made.kill(worker)
        ground.server.command("FLUSHALL")


async def holds(scene: Scene) -> bool:
    """Whether the first worker has permits at hand: it admits one without asking Redis."""
    return (await scene.ask(scene.alive[0], 0))[0].source == "lease"


async def test_what_a_worker_holds_is_recalled_when_another_runs_dry(scene: Scene) -> None:
    assert await holds(scene)
    others = scene.alive[1:]
    taken, room = 0, scene.room(0)
    for _ in range(6):
        answers = await asyncio.gather(*(scene.ask(worker, 0, room // 2 + 10) for worker in others))
        taken += sum(answer.allowed for some in answers for answer in some)
        await asyncio.sleep(0.02)
    assert taken == room


async def test_what_a_killed_worker_held_comes_back(scene: Scene) -> None:
    assert await holds(scene)
    await scene.kill(scene.alive[0])
    await scene.tick(1.2)
    await asyncio.sleep(0.05)
    await scene.tick(1.2)
    assert await exhaust(scene, 0, CHOICE) == 289


async def test_what_a_worker_holds_comes_back_when_it_is_idle(scene: Scene) -> None:
    assert await holds(scene)
    # While at least half of the window is free it may keep them for some seconds; who needs them recalls them.
    for _ in range(2):
        await quiet(scene, 0)
    assert not await holds(scene)


async def test_what_a_worker_holds_comes_back_when_it_stops(scene: Scene) -> None:
    assert await holds(scene)
    await scene.stop(scene.alive[0])
    assert await exhaust(scene, 0, CHOICE) == 289


async def test_slots_in_use_by_a_killed_worker_come_back(ground: Ground) -> None:
    with tempfile.TemporaryDirectory(prefix="paid-endpoint-reach-") as folder:
        target = key(), plan(limit("concurrent", 6)), None, None
        made = Scene(Path(folder), ground.nursery, ground.clock, ground.server, [target], 2)
        first, second = await made.birth(), await made.birth()
        assert sum(answer.allowed for answer in await made.ask(first, 0, 10, hold=True)) == 6
        assert not any(answer.allowed for answer in await made.ask(second, 0, 3, hold=True))
        await made.kill(first)
        for _ in range(6):
            await made.tick(0.5)
            await asyncio.sleep(0.02)
        assert sum(answer.allowed for answer in await made.ask(second, 0, 10, hold=True)) == 6
        made.check()
        await made.kill(second)
        ground.server.command("FLUSHALL")
