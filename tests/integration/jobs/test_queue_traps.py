"""The traps of BullMQ's Python edition that `jobs.engine.queue` lists, each kept shut."""

import asyncio
import logging
import time

import pytest
from redis.exceptions import RedisError

from domain.redis_keys import JOBS_PREFIX
from domain.settings import RedisSettings
from jobs.engine import queue as queues
from jobs.engine.connections import open_redis
from jobs.engine.queue import add, close_worker, keep_schedules, open_queue, open_worker, options_of
from jobs.registry import JOBS
from tests.integration.jobs.conftest import until, worker
from tests.integration.jobs.test_runs import ask_now, ended, published

JOB = JOBS[0]


@pytest.fixture
async def client(settings):
    made = open_redis(settings)
    yield made
    await made.aclose()


async def nothing(work):
    return {}


async def never(entry, token):
    raise AssertionError("it must not run")


async def test_1_what_has_ended_leaves_nothing_in_redis(settings, own_pool, own_jobs, client):
    await published(own_pool, own_jobs("nothing", nothing))
    async with worker(settings):
        await ended(own_pool, await ask_now(own_pool, "nothing"))
        queue = open_queue(client)
        await until(lambda: empty(queue))
        keys = [key async for key in client.scan_iter(f"{JOBS_PREFIX}:work:run-*")]
    assert keys == []


async def empty(queue) -> bool:
    counts = await queue.getJobCounts("completed", "failed", "active", "wait")
    return not any(counts.values())


async def test_1_a_ticket_is_tried_as_often_as_its_job_says_and_once_more():
    assert options_of(JOB)["attempts"] == JOB.attempts + 1
    assert options_of(JOB)["removeOnComplete"] is options_of(JOB)["removeOnFail"] is True


async def test_3_a_worker_runs_nothing_before_it_is_told(settings, client):
    queue = open_queue(client)
    await add(queue, JOB, "ticket", "one")
    made = await open_worker(settings, never)
    await asyncio.sleep(0.5)
    assert (await queue.getJobCounts("wait"))["wait"] == 1
    await close_worker(made, 0)


async def test_4_waits_are_not_rounded_up_to_seconds(settings):
    made = await open_worker(settings, never)
    assert made.blockingRedisConnection.version is not None
    assert made.backend.capabilities["canDoubleTimeout"] is True
    made.blockUntil = int(time.time() * 1_000) + 250
    assert made.getBlockTimeout(made.blockUntil) < 0.26
    await close_worker(made, 0)


async def test_5_redis_away_is_told_within_seconds(settings):
    settings.redis = RedisSettings(url="redis://127.0.0.1:1/0")
    begun = time.monotonic()
    with pytest.raises((RedisError, OSError)):
        await open_worker(settings, never)
    client = open_redis(settings)
    with pytest.raises((RedisError, OSError)):
        await add(open_queue(client), JOB, "ticket", "one")
    assert time.monotonic() - begun < 5


async def test_5_the_waiting_call_has_a_client_of_its_own(settings):
    made = await open_worker(settings, never)
    assert made.backend.bclient is not made.backend.conn
    await close_worker(made, 0)


async def test_6_a_listener_that_breaks_breaks_nothing(settings, monkeypatch, caplog):
    def broken(*_):
        raise RuntimeError("listener")

    monkeypatch.setattr(queues, "_told", broken)
    made = await open_worker(settings, never)
    with caplog.at_level(logging.ERROR, logger="paid_endpoint.jobs"):
        made.emit("error", ValueError("x"))
    assert "a listener broke" in caplog.text
    await close_worker(made, 0)


async def test_7_no_number_of_lost_workers_fails_a_job_unseen(settings):
    made = await open_worker(settings, never)
    assert made.opts["maxStalledCount"] == queues.NEVER_STALLED_OUT
    await close_worker(made, 0)


async def test_8_closing_does_not_wait_for_a_job_that_hangs(settings, own_pool, own_jobs):
    begun = []

    async def hangs(work):
        begun.append(1)
        await asyncio.sleep(600)

    await published(own_pool, own_jobs("hangs", hangs))
    await ask_now(own_pool, "hangs")
    async with worker(settings):
        await until(lambda: asyncio.sleep(0, begun))
        at = time.monotonic()
    assert time.monotonic() - at < 5


async def test_9_schedules_are_made_mended_and_removed(client, settings):
    queue = open_queue(client)
    await queue.upsertJobScheduler("gone", {"pattern": "0 0 * * *", "tz": "UTC"}, "gone", {}, {})
    assert sorted(await keep_schedules(queue)) == sorted([*(job.name for job in JOBS), "gone"])
    assert await keep_schedules(queue) == []
    await queue.upsertJobScheduler(JOB.name, {"pattern": "0 0 1 1 *", "tz": "UTC"}, JOB.name, {}, {})
    assert await keep_schedules(queue) == [JOB.name]
    (entry,) = [one async for one in client.scan_iter(f"{JOBS_PREFIX}:work:repeat:{JOB.name}:*")]
    await client.zadd(queue.keys["repeat"], {JOB.name: int(time.time() * 1_000) - 120_000})
    assert await keep_schedules(queue) == [], "what is there for the next time is left alone"
    await client.delete(entry)
    await client.zrem(queue.keys["delayed"], entry.removeprefix(f"{JOBS_PREFIX}:work:"))
    assert await keep_schedules(queue) == [JOB.name], "its next time is long over, so it was silent"
    assert await keep_schedules(queue) == []
    assert (await queue.getJobCounts("delayed"))["delayed"] == len(JOBS)
