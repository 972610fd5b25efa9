"""Faults F4 to F7 and F14 through real limiters in real processes: a bounded decision in time, and exactness by itself."""

import asyncio
import random
import shutil
import tempfile
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from domain.snapshots import LimitSnapshot
from tests.leases.admissions import ADMITTED
from tests.leases.exhausting import exhaust, quiet
from tests.leases.machine import Ground
from tests.leases.scene import Scene
from tests.leases.worker import Answer
from tests.snapshots import key, limit, plan
from tests.valkeys import OwnValkey, own_valkey

BUDGET_MS = 50
STALL_MS = 200
"""What a machine that is busy with other tests may add to a decision."""
CHOICE = random.Random(1)
Open = Callable[..., Any]


@pytest.fixture
def opened(ground: Ground) -> Open:
    """`async with opened(limit(...), workers=2) as scene:` with the budget that gateways have."""

    @asynccontextmanager
    async def open_(*sold: LimitSnapshot, server: OwnValkey = ground.server, workers: int = 2) -> AsyncIterator[Scene]:
        with tempfile.TemporaryDirectory(prefix="paid-endpoint-faults-") as folder:
            target = key(), plan(*sold), None, None
            scene = Scene(Path(folder), ground.nursery, ground.clock, server, [target], workers)
            ground.clock.step(-ground.clock.steps)
            if (left := scene.seconds_to_edge(0)) < 60.0:
                await scene.tick(left + 1)
            for _ in range(workers):
                await scene.birth(timeout_ms=BUDGET_MS)
            try:
                yield scene
                scene.check()
            finally:
                for worker in list(scene.alive):
                    await scene.kill(worker)
                server.command("FLUSHALL")

    return open_


@pytest.fixture
def durable(ground: Ground, tmp_path: Path) -> Any:
    """A server that keeps an append-only file in `tmp_path`."""
    with own_valkey(
        *("--dir", str(tmp_path), "--appendonly", "yes", "--appendfsync", "always"),
        environment=ground.clock.server_environment,
    ) as server:
        yield server


def restart(server: OwnValkey, folder: Path) -> None:
    server.start("--dir", str(folder), "--appendonly", "yes", "--appendfsync", "always")


def in_time(answers: list[Answer]) -> bool:
    times = sorted(answer.milliseconds for answer in answers)
    return times[len(times) // 2] <= BUDGET_MS + STALL_MS / 4 and times[-1] <= BUDGET_MS + STALL_MS


def admitted(scene: Scene) -> int:
    return sum(entry.kind == ADMITTED for entry in scene.log())


async def outage(scene: Scene, number: int = 30) -> None:
    """Ask everywhere while Redis is away: in time, some admitted, bounded."""
    before = admitted(scene)
    assert in_time(await scene.everyone(0, number))
    assert in_time(await scene.everyone(0, number))
    amount = scene.targets[0][1].limits[0].amount
    assert 0 < admitted(scene) - before <= amount + scene.size


async def test_f4_redis_is_killed_and_restarted(opened: Open, durable: OwnValkey, tmp_path: Path) -> None:
    async with opened(limit("hour", 100), server=durable) as scene:
        await scene.everyone(0, 10)
        scene.away()
        durable.kill()
        await outage(scene, 10)
        restart(durable, tmp_path)
        await scene.back()
        await quiet(scene, 0)
        assert admitted(scene) == 60
        await exhaust(scene, 0, CHOICE)
        assert admitted(scene) == 100, "what was admitted alone is charged, and what is left can be had"
        assert not any(answer.allowed for answer in await scene.everyone(0, 20))


async def test_f5_redis_loses_the_tail_of_its_log(opened: Open, durable: OwnValkey, tmp_path: Path) -> None:
    async with opened(limit("hour", 100), server=durable) as scene:
        await scene.everyone(0, 10)
        await quiet(scene, 0)
        shutil.copytree(tmp_path / "appendonlydir", tmp_path / "before")
        await scene.everyone(0, 20)
        scene.away()
        durable.kill()
        shutil.rmtree(tmp_path / "appendonlydir")
        shutil.move(tmp_path / "before", tmp_path / "appendonlydir")
        restart(durable, tmp_path)
        await scene.everyone(0, 1)
        await scene.back(lost=True)
        for _ in range(6):
            await scene.everyone(0, 40)
            await scene.tick(0.5)
        assert 100 <= admitted(scene) <= 140, "at most what the tail had: the workers tell what they spent"


async def test_f6_redis_hangs(opened: Open, server: OwnValkey) -> None:
    async with opened(limit("hour", 100), limit("concurrent", 50)) as scene:
        await scene.everyone(0, 10)
        scene.away()
        server.freeze()
        try:
            await outage(scene, 10)
            # Who spent leases until now asks Redis for the first time, and waits for the budget.
            assert in_time(await scene.everyone(0, 10))
        finally:
            server.thaw()
        await scene.back()
        await quiet(scene, 0)
        await exhaust(scene, 0, CHOICE)
        assert admitted(scene) <= 100


async def test_f7_redis_is_full(opened: Open, server: OwnValkey) -> None:
    async with opened(limit("hour", 100)) as scene:
        await scene.everyone(0, 10)
        await quiet(scene, 0)
        scene.away()
        server.command("CONFIG", "SET", "maxmemory", "1")
        try:
            await outage(scene, 10)
        finally:
            server.command("CONFIG", "SET", "maxmemory", "0")
        await scene.back()
        await quiet(scene, 0)
        await exhaust(scene, 0, CHOICE)
        assert admitted(scene) == 100


async def test_f7_redis_is_a_replica_that_takes_no_writes(opened: Open, server: OwnValkey) -> None:
    async with opened(limit("hour", 100)) as scene:
        await scene.everyone(0, 10)
        await quiet(scene, 0)
        scene.away()
        server.command("REPLICAOF", "127.0.0.1", "1")
        try:
            await outage(scene, 10)
        finally:
            server.command("REPLICAOF", "NO", "ONE")
        await scene.back()
        await quiet(scene, 0)
        await exhaust(scene, 0, CHOICE)
        assert admitted(scene) == 100


@pytest.mark.parametrize("period", ["day", "month"])
async def test_f5_a_wiped_redis_is_refilled_from_the_rollups(opened: Open, period: str) -> None:
    async with opened(limit(period, 80)) as scene:
        await scene.everyone(0, 15)
        await quiet(scene, 0)
        scene.note_rollups()
        scene.server.command("FLUSHALL")
        await exhaust(scene, 0, CHOICE)
        await scene.everyone(0, 20)
        assert admitted(scene) == 80
        assert sum([(await worker.call("status")).refills for worker in scene.alive]) > 0


async def test_f5_a_restart_without_memory_is_refilled_from_the_rollups(opened: Open, server: OwnValkey) -> None:
    async with opened(limit("day", 80)) as scene:
        await scene.everyone(0, 15)
        await quiet(scene, 0)
        scene.note_rollups()
        scene.away()
        server.kill()
        server.start()
        await scene.everyone(0, 1)
        scene.note_rollups()
        await scene.back()
        await quiet(scene, 0)
        await exhaust(scene, 0, CHOICE)
        await scene.everyone(0, 20)
        assert admitted(scene) == 80


async def test_f5_rollups_that_cannot_be_read_are_said_and_do_not_stop_anybody(opened: Open) -> None:
    async with opened(limit("day", 40)) as scene:
        await scene.everyone(0, 5)
        await quiet(scene, 0)
        scene.wipe()
        (scene.folder / "rollups").unlink()
        for _ in range(4):
            await scene.everyone(0, 20)
            await scene.tick(0.5)
        assert 40 <= admitted(scene) <= 50
        assert sum([(await worker.call("status")).refills_unread for worker in scene.alive]) > 0


@pytest.mark.parametrize("seconds", [3_600.0, -3_600.0, 3.0, -3.0])
async def test_f14_a_clock_that_steps_opens_no_hour_twice(opened: Open, seconds: float) -> None:
    async with opened(limit("hour", 30)) as scene:
        for step in (seconds, -seconds, seconds):
            await scene.everyone(0, 40)
            scene.step(step)
            await asyncio.sleep(0.01)
            await scene.everyone(0, 40)
            await scene.tick(1.2)
            await scene.everyone(0, 40)
        assert admitted(scene) == 30 * (2 if abs(seconds) > 100 else 1)


@pytest.mark.parametrize("seconds", [0.0, 3_600.0, -3_600.0, 3.0, -3.0])
@pytest.mark.parametrize(("period", "length"), [("second", 1.3), ("minute", 67.0)])
async def test_f14_a_clock_that_steps_locks_nobody_out_for_longer_than_a_window(
    opened: Open, seconds: float, period: str, length: float
) -> None:
    """And two slots. Counted from when Redis is first asked after the step: only then can it know of it."""
    async with opened(limit(period, 8)) as scene:
        await scene.everyone(0, 20)
        scene.step(seconds)
        # Longer than a worker remembers that nothing is left.
        await scene.tick(1.1 if period == "minute" else 0.3)
        await scene.everyone(0, 20)
        await scene.tick(length)
        before = admitted(scene)
        await scene.everyone(0, 20)
        assert admitted(scene) - before >= 8
