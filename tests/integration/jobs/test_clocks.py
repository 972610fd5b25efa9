"""A machine's clock that is wrong (F14) destroys nothing, and makes no run of another machine look lost."""

import asyncio
from datetime import UTC, datetime, timedelta

import pytest

from domain import job_runs
from domain.job_locks import job_lock
from jobs.engine import running, upkeep
from jobs.engine.process import opened
from jobs.engine.queue import open_queue
from jobs.engine.running import Outcome, perform
from jobs.engine.upkeep import Upkeep
from tests.integration.jobs.conftest import state_of, until
from tests.integration.jobs.test_runs import ask_now, published

WEEK = timedelta(days=7)


def turn_clocks(monkeypatch, by: timedelta) -> None:
    for module in (running, upkeep):
        monkeypatch.setattr(module, "utc_now", lambda: datetime.now(UTC) + by)


@pytest.mark.parametrize("by", [WEEK, -WEEK, timedelta(minutes=6)])
async def test_nothing_is_done_by_a_clock_that_is_wrong(settings, own_pool, own_jobs, monkeypatch, by):
    done = []

    async def drop(work):
        done.append(1)
        return {}

    job = own_jobs("drop", drop, attempts=1)
    await published(own_pool, job)
    run_id = await ask_now(own_pool, "drop")
    turn_clocks(monkeypatch, by)
    async with opened(settings) as context:
        assert await perform(context, job, f"run-{run_id}") is Outcome.FAILED
    assert done == []
    error = await own_pool.fetchval("select error from job_run where id = $1", run_id)
    assert error.startswith("WrongClock: The clock here says ")


async def test_a_run_is_not_lost_to_a_clock_that_is_ahead_while_its_worker_lives(own_pool, own_jobs, settings):
    async def nothing(work):
        return {}

    await published(own_pool, own_jobs("long", nothing))
    run_id = await ask_now(own_pool, "long")
    ahead = datetime.now(UTC) + WEEK
    async with own_pool.acquire() as one, own_pool.acquire() as other:
        async with job_lock(one, "long"):
            await job_runs.begin(one, "long", f"run-{run_id}", worker="one", now=datetime.now(UTC))
            assert await job_runs.find_lost(other, ahead) == 0
            assert await state_of(own_pool, run_id) == "running"
        assert await job_runs.find_lost(other, ahead) == 1


async def test_a_clock_that_is_ahead_finds_no_time_missed(settings, own_pool, own_jobs, monkeypatch):
    async def nothing(work):
        return {}

    job = own_jobs("yearly", nothing, cron="0 0 1 1 *")
    await published(own_pool, job)
    await own_pool.execute(
        "insert into job_run (name, ticket, state, ended_at) values ('yearly', 'x', 'succeeded', now())"
    )
    turn_clocks(monkeypatch, 53 * WEEK)
    async with opened(settings) as context:
        await Upkeep(context, open_queue(context.redis)).look()
    assert await own_pool.fetchval("select count(*) from job_run") == 1


async def test_postgresql_notices_a_worker_that_lost_its_power(settings):
    async with opened(settings) as context:
        shown = [
            await context.database.fetchval(f"show tcp_keepalives_{name}") for name in ("idle", "interval", "count")
        ]
    assert shown == ["30", "10", "3"]


async def test_a_run_whose_lock_went_with_its_connection_is_lost(settings, own_pool, own_jobs):
    begun = asyncio.Event()

    async def hangs(work):
        begun.set()
        await asyncio.sleep(60)

    job = own_jobs("hangs", hangs)
    await published(own_pool, job)
    run_id = await ask_now(own_pool, "hangs")
    async with opened(settings) as context:
        attempt = asyncio.create_task(perform(context, job, f"run-{run_id}"))
        await begun.wait()
        async with own_pool.acquire() as connection:
            # Only here: the locks of all databases are listed, and other workers' tests hold such in theirs.
            lock = (
                "select pg_terminate_backend(pid) from pg_locks where locktype = 'advisory' and objsubid = 2"
                " and database = (select oid from pg_database where datname = current_database())"
            )
            await connection.fetch(lock)
            await until(lambda: job_runs.find_lost(connection, datetime.now(UTC) + WEEK))
        assert await state_of(own_pool, run_id) == "waiting"
        attempt.cancel()
        await asyncio.gather(attempt, return_exceptions=True)
