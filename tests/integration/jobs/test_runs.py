"""A run is asked for as a row, and ends as one: whatever becomes of workers, Redis and attempts in between."""

import asyncio
import logging

import pytest

from domain import job_runs
from domain.audit import Actor
from domain.faults import Conflict, InvalidValue, NotFound
from domain.job_run_reading import fetch_run, list_runs, overview
from jobs.engine import process
from jobs.engine.running import Outcome, perform
from jobs.work import Finding
from tests.integration.jobs.conftest import state_of, until, worker

ACTOR = Actor("operator", 7, "ada@example.com")


async def published(pool, *jobs) -> None:
    async with pool.acquire() as connection:
        await job_runs.publish(connection, [job.record for job in jobs])


async def ask_now(pool, name: str, arguments: dict | None = None):
    async with pool.acquire() as connection:
        return await job_runs.request_run(connection, name, arguments or {}, ACTOR)


async def ended(pool, run_id):
    async def look():
        async with pool.acquire() as connection:
            found = await fetch_run(connection, run_id)
        return found if found.ended_at else None

    return await until(look)


async def test_a_run_that_was_asked_for_ends_with_its_result_and_a_trace(settings, own_pool, own_jobs):
    async def add(work):
        await work.progress(1, 2, "half")
        return {"day": str(work.day), "two": 2}

    await published(own_pool, own_jobs("add", add))
    run_id = await ask_now(own_pool, "add", {"day": "2026-11-20"})
    async with worker(settings):
        found = await ended(own_pool, run_id)
    assert (found.state, found.result, found.error) == ("succeeded", {"day": "2026-11-20", "two": 2}, "")
    assert (found.attempt, found.requested_by, found.progress["done"]) == (1, "ada@example.com", 1)
    assert found.seconds is not None
    assert await own_pool.fetchval("select verb from audit_entry where object_id = 'add'") == "job.run"
    async with own_pool.acquire() as connection:
        (one,) = await overview(connection)
    assert (one.name, one.state, one.failed) == ("add", "succeeded", 0)
    assert one.median_seconds is not None


async def test_what_fails_is_tried_again_and_then_stays_visible_until_it_is_retried(
    settings, own_pool, own_jobs, caplog
):
    begun = []

    async def break_(work):
        begun.append(1)
        if len(begun) <= 2:
            raise RuntimeError("postgresql://me:hunter2@db/x refused pe_live_abc_def")
        return {}

    await published(own_pool, own_jobs("break", break_, attempts=2, backoff_seconds=1))
    run_id = await ask_now(own_pool, "break")
    with caplog.at_level(logging.ERROR, logger="paid_endpoint.jobs"):
        async with worker(settings):
            found = await ended(own_pool, run_id)
            assert (found.state, found.attempt) == ("failed", 2)
            assert "hunter2" not in found.error
            assert "pe_live" not in found.error
            assert "failed for good" in caplog.text
            async with own_pool.acquire() as connection:
                assert [run.id for run in await list_runs(connection, state="failed")] == [run_id]
                again = await job_runs.retry(connection, run_id, ACTOR)
                with pytest.raises(Conflict):
                    await job_runs.retry(connection, run_id, ACTOR)
            found = await ended(own_pool, again)
    assert (found.state, found.retry_of) == ("succeeded", run_id)
    assert await state_of(own_pool, run_id) == "retried"
    assert "hunter2" not in await everything_in_redis(settings)


async def everything_in_redis(settings) -> str:
    import redis

    client = redis.Redis.from_url(settings.redis.url.get_secret_value())
    texts = []
    for key in client.scan_iter("*"):
        texts += [str(key), str(client.dump(key))]
    client.close()
    return " ".join(texts)


async def test_a_finding_fails_at_once_and_keeps_its_figures(settings, own_pool, own_jobs):
    async def look(work):
        raise Finding("Two balances drift.", {"drifts": 2})

    await published(own_pool, own_jobs("look", look, attempts=5))
    run_id = await ask_now(own_pool, "look")
    async with worker(settings):
        found = await ended(own_pool, run_id)
    assert (found.state, found.attempt, found.error, found.result) == (
        "failed",
        1,
        "Two balances drift.",
        {"drifts": 2},
    )


async def test_what_takes_too_long_is_ended(settings, own_pool, own_jobs):
    async def sleep(work):
        await asyncio.sleep(60)

    await published(own_pool, own_jobs("sleep", sleep, attempts=1, timeout_seconds=1))
    run_id = await ask_now(own_pool, "sleep")
    async with worker(settings):
        found = await ended(own_pool, run_id)
    assert (found.state, found.error) == ("failed", "It took longer than 1 s.")


async def test_two_workers_run_a_job_once_at_a_time(settings, own_pool, own_jobs, monkeypatch):
    monkeypatch.setattr(process, "BUSY_MILLISECONDS", 500)
    at_once, most, done = 0, 0, []

    async def alone(work):
        nonlocal at_once, most
        at_once += 1
        most = max(most, at_once)
        await asyncio.sleep(0.2)
        at_once -= 1
        done.append(1)
        return {}

    await published(own_pool, own_jobs("alone", alone))
    ids = [await ask_now(own_pool, "alone") for _ in range(4)]
    async with worker(settings), worker(settings):
        for run_id in ids:
            assert (await asyncio.wait_for(ended_later(own_pool, run_id), 60)).state == "succeeded"
    assert (most, len(done)) == (1, 4)


async def ended_later(pool, run_id):
    async def look():
        async with pool.acquire() as connection:
            found = await fetch_run(connection, run_id)
        return found if found.ended_at else None

    return await until(look, 60)


async def test_a_time_that_comes_while_the_job_runs_is_no_second_run(settings, own_pool, own_jobs):
    begun, go_on = [], asyncio.Event()

    async def long(work):
        begun.append(1)
        await go_on.wait()
        return {}

    job = own_jobs("long", long)
    await published(own_pool, job)
    run_id = await ask_now(own_pool, "long")
    async with worker(settings) as running:
        await until(lambda: asyncio.sleep(0, begun))
        assert await perform(running.context, job, "repeat:long:1") is Outcome.OVER
        assert await perform(running.context, job, f"run-{run_id}") is Outcome.BUSY
        go_on.set()
        assert (await ended(own_pool, run_id)).state == "succeeded"
    assert await own_pool.fetchval("select count(*) from job_run") == 1


async def test_a_worker_that_stops_puts_its_run_back_and_another_takes_it(settings, own_pool, own_jobs):
    begun = []

    async def first_hangs(work):
        begun.append(1)
        if len(begun) == 1:
            await asyncio.sleep(60)
        return {"begun": len(begun)}

    await published(own_pool, own_jobs("hangs", first_hangs))
    run_id = await ask_now(own_pool, "hangs")
    async with worker(settings):
        await until(lambda: asyncio.sleep(0, bool(begun)))
    assert await state_of(own_pool, run_id) == "waiting"
    async with worker(settings):
        found = await ended(own_pool, run_id)
    assert (found.state, found.attempt, found.result) == ("succeeded", 1, {"begun": 2})


async def test_a_schedule_fires_by_its_cron(settings, own_pool, own_jobs):
    async def tick(work):
        return {}

    own_jobs("tick", tick, cron="* * * * * */1")
    async with worker(settings):
        await until(lambda: own_pool.fetchval("select count(*) >= 2 from job_run where state = 'succeeded'"), 20)
    assert await own_pool.fetchval("select distinct requested_by from job_run") == ""


async def test_nobody_asks_for_what_is_not_there(own_pool, settings, own_jobs):
    async def nothing(work):
        return {}

    job = own_jobs("nothing", nothing)
    await published(own_pool, job)
    async with own_pool.acquire() as connection:
        with pytest.raises(NotFound):
            await job_runs.request_run(connection, "other", {}, ACTOR)
        for arguments in ({"day": "yesterday"}, {"sql": "x"}):
            with pytest.raises(InvalidValue):
                await job_runs.request_run(connection, "nothing", arguments, ACTOR)
        await job_runs.publish(connection, [])
        with pytest.raises(NotFound):
            await job_runs.request_run(connection, "nothing", {}, ACTOR)
        assert await overview(connection) == []
