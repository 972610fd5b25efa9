"""What somebody, or a broken tool, wrote into Redis by hand: no run is lost or taken for another, and the others go on."""

import asyncio
import json

import pytest

from domain.redis_keys import JOBS_PREFIX
from jobs.engine.connections import open_redis
from jobs.engine.queue import add, open_queue
from jobs.registry import BY_NAME
from tests.integration.jobs.conftest import until, worker
from tests.integration.jobs.test_runs import ask_now, ended, ended_later, published


@pytest.fixture
async def client(settings):
    made = open_redis(settings)
    yield made
    await made.aclose()


async def nothing(work):
    return {}


def entry_of(run_id) -> str:
    return f"{JOBS_PREFIX}:work:run-{run_id}"


@pytest.mark.parametrize(
    "fields",
    [{"data": "{no json"}, {"opts": "[]"}, {"data": "[1]"}, {"data": '{"ticket": "a\\u0000b"}'}, {"priority": "high"},
     {"name": "drop-everything"}, {"stacktrace": "x"}, {"data": json.dumps({"ticket": "x" * 100_000})}],
)  # fmt: skip
async def test_a_run_whose_entry_was_spoiled_is_run_all_the_same(settings, own_pool, own_jobs, client, fields):
    await published(own_pool, own_jobs("nothing", nothing))
    run_id = await ask_now(own_pool, "nothing")
    await add(open_queue(client), BY_NAME["nothing"], f"run-{run_id}", str(run_id))
    await client.hset(entry_of(run_id), mapping=fields)
    async with worker(settings):
        assert (await ended_later(own_pool, run_id)).state == "succeeded"
        other = await ask_now(own_pool, "nothing")
        assert (await ended(own_pool, other)).state == "succeeded"


async def test_a_run_is_not_begun_as_another_job(settings, own_pool, own_jobs, client):
    done = []

    async def first(work):
        done.append("first")
        return {}

    async def second(work):
        done.append("second")
        return {}

    await published(own_pool, own_jobs("first", first), own_jobs("second", second))
    one, two = await ask_now(own_pool, "first"), await ask_now(own_pool, "second")
    await add(open_queue(client), BY_NAME["first"], f"run-{two}", str(one))
    async with worker(settings):
        for run_id in (one, two):
            assert (await ended_later(own_pool, run_id)).state == "succeeded"
    assert sorted(done) == ["first", "second"]


async def test_an_entry_that_is_gone_is_put_into_the_queue_again(settings, own_pool, own_jobs, client):
    await published(own_pool, own_jobs("nothing", nothing))
    run_id = await ask_now(own_pool, "nothing")
    await add(open_queue(client), BY_NAME["nothing"], f"run-{run_id}", str(run_id))
    await client.delete(entry_of(run_id))
    async with worker(settings):
        assert (await ended_later(own_pool, run_id)).state == "succeeded"


async def test_redis_is_flushed_while_a_job_runs(settings, own_pool, own_jobs, client):
    begun = []

    async def long(work):
        begun.append(1)
        await asyncio.sleep(3)
        return {}

    await published(own_pool, own_jobs("long", long))
    run_id = await ask_now(own_pool, "long")
    async with worker(settings):
        await until(lambda: asyncio.sleep(0, begun))
        await client.flushdb()
        found = await ended_later(own_pool, run_id)
        assert (found.state, found.attempt, len(begun)) == ("succeeded", 1, 1)
        again = await ask_now(own_pool, "long")
        assert (await ended_later(own_pool, again)).state == "succeeded"


async def test_what_a_scheduler_made_is_whole(settings, own_pool, own_jobs, client):
    own_jobs("often", nothing, cron="* * * * *")
    async with worker(settings):
        await until(lambda: client.keys(f"{JOBS_PREFIX}:work:repeat:often:*"))
    (entry,) = await client.keys(f"{JOBS_PREFIX}:work:repeat:often:*")
    stored = json.loads(await client.hget(entry, "opts"))
    assert (stored["removeOnComplete"], stored["removeOnFail"]) == (True, True)
