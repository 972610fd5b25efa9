"""What becomes of runs while Redis, PostgreSQL or a worker is away: they wait, say so once, and end as if nothing had been."""

import asyncio
import logging
import os
import signal
import sys
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path

import asyncpg
import pytest

from domain.job_settings import JobSettings
from domain.settings import RedisSettings
from jobs.engine import upkeep
from jobs.engine.queue import open_queue
from jobs.engine.running import Outcome, perform
from tests.integration.jobs.conftest import job_settings, until, worker
from tests.integration.jobs.test_every_job import GATE, SECRETS, STOPPED, stop_at
from tests.integration.jobs.test_every_job import until as until_statement
from tests.integration.jobs.test_runs import ask_now, ended, ended_later, published
from tests.valkeys import own_valkey

ROOT = Path(__file__).resolve().parents[3]


def said(caplog, words: str) -> int:
    return sum(words in record.getMessage() for record in caplog.records)


@pytest.fixture
def valkey(settings):
    with own_valkey("--maxmemory-policy", "noeviction") as server:
        settings.redis = RedisSettings(url=server.url)
        yield server


async def nothing(work):
    return {}


async def test_redis_is_away_at_the_start_and_again_later_with_its_memory_lost(
    settings, own_pool, own_jobs, valkey, caplog
):
    valkey.kill()
    job = own_jobs("nothing", nothing)
    with caplog.at_level(logging.INFO, logger="paid_endpoint.jobs"):
        async with worker(settings) as running:
            await asyncio.sleep(2.5)
            assert said(caplog, "Redis is away") == 1
            assert running.process.health.answer("/ready")[0] == 503
            assert running.process.health.answer("/health")[0] == 200
            valkey.start()
            await until(lambda: own_pool.fetchval("select count(*) from job"))
            first = await ask_now(own_pool, "nothing")
            assert (await ended(own_pool, first)).state == "succeeded"
            assert running.process.health.answer("/ready")[0] == 200
            valkey.kill()
            second = await ask_now(own_pool, "nothing")
            await asyncio.sleep(2.5)
            valkey.start()
            assert (await ended(own_pool, second)).state == "succeeded"
            queue = open_queue(running.context.redis)
            assert [one["key"] for one in await queue.getJobSchedulers()] == [job.name]
    assert (said(caplog, "Redis is away"), said(caplog, "Redis is back")) == (2, 2)


async def test_redis_restarts_while_a_job_runs_and_the_job_ends_once(settings, own_pool, own_jobs, valkey):
    begun = []

    async def long(work):
        begun.append(1)
        await asyncio.sleep(4)
        return {}

    await published(own_pool, own_jobs("long", long))
    run_id = await ask_now(own_pool, "long")
    async with worker(settings):
        await until(lambda: asyncio.sleep(0, begun))
        valkey.kill()
        await asyncio.sleep(1)
        valkey.start()
        found = await ended(own_pool, run_id)
        assert (found.state, found.attempt) == ("succeeded", 1)
        again = await ask_now(own_pool, "long")
        assert (await ended(own_pool, again)).state == "succeeded"
    assert len(begun) == 2


async def test_redis_hangs_and_thaws(settings, own_pool, own_jobs, valkey, caplog):
    await published(own_pool, own_jobs("nothing", nothing))
    async with worker(settings):
        assert (await ended(own_pool, await ask_now(own_pool, "nothing"))).state == "succeeded"
        valkey.freeze()
        run_id = await ask_now(own_pool, "nothing")
        await asyncio.sleep(5)
        valkey.thaw()
        assert (await ended_later(own_pool, run_id)).state == "succeeded"
    assert said(caplog, "Redis is away") == 1


async def test_postgres_restarts_and_what_was_asked_for_is_done(embedded_services, own_jobs, caplog):
    from domain.migrating import migrate

    settings = job_settings(embedded_services.database_url, embedded_services.redis_url)
    await migrate(embedded_services.database_url)
    own_jobs("nothing", nothing)
    with caplog.at_level(logging.INFO, logger="paid_endpoint.jobs"):
        async with worker(settings):
            async with asyncpg.create_pool(embedded_services.database_url, min_size=1) as pool:
                await until(lambda: pool.fetchval("select count(*) from job"))
                assert (await ended(pool, await ask_now(pool, "nothing"))).state == "succeeded"
            embedded_services.stop_postgres()
            await asyncio.sleep(2.5)
            embedded_services.start_postgres()
            async with asyncpg.create_pool(embedded_services.database_url, min_size=1) as pool:
                assert (await ended(pool, await ask_now(pool, "nothing"))).state == "succeeded"
    assert (said(caplog, "PostgreSQL is away"), said(caplog, "PostgreSQL is back")) == (1, 1)


async def spawn(settings, log: Path):
    environment = {
        **os.environ, "DATABASE_URL": settings.database.url.get_secret_value(), "SECRET_KEYS": SECRETS,
        "REDIS_URL": settings.redis.url.get_secret_value(), "JOBS_PORT": "0", "JOBS_TAKEOVER_SECONDS": "1",
    }  # fmt: skip
    with log.open("ab") as file:
        return await asyncio.create_subprocess_exec(
            sys.executable, "-m", "cli.main", "jobs", cwd=ROOT, env=environment, stdout=file, stderr=file
        )


@pytest.mark.slow
async def test_f3_the_run_of_a_worker_that_was_killed_is_taken_over_by_another(settings, own_pool, tmp_path):
    async with own_pool.acquire() as connection:
        await stop_at(connection, "log_day", 1)
        first = await spawn(settings, tmp_path / "first.log")
        await until(lambda: own_pool.fetchval("select count(*) from job"), 60)
        run_id = await ask_now(own_pool, "log-summaries", {"day": "2026-11-20"})
        await until_statement(connection, STOPPED, 60)
        first.send_signal(signal.SIGKILL)
        await first.wait()
        await connection.execute("select pg_advisory_unlock($1)", GATE)
    second = await spawn(settings, tmp_path / "second.log")
    try:
        found = await ended_later(own_pool, run_id)
        assert (found.state, found.attempt) == ("succeeded", 2)
        assert found.worker.endswith(f":{second.pid}")
    finally:
        begun = time.monotonic()
        second.send_signal(signal.SIGTERM)
        await asyncio.wait_for(second.wait(), 15)
    assert second.returncode == 0
    assert time.monotonic() - begun < 10


async def lose(pool, run_id, *, attempt: int) -> None:
    """As a worker and a Redis leave it that both ended in the middle of the run."""
    await pool.execute(
        "update job_run set state = 'running', attempt = $2, started_at = now() - interval '2 minutes',"
        " beat_at = now() - interval '2 minutes' where id = $1",
        run_id,
        attempt,
    )


async def test_a_run_whose_worker_and_place_in_the_queue_are_lost_is_found_and_run(settings, own_pool, own_jobs):
    await published(own_pool, own_jobs("nothing", nothing))
    run_id = await ask_now(own_pool, "nothing")
    await lose(own_pool, run_id, attempt=1)
    async with worker(settings):
        found = await ended(own_pool, run_id)
    assert (found.state, found.attempt) == ("succeeded", 2)


async def test_a_job_that_ends_its_worker_each_time_is_given_up(settings, own_pool, own_jobs):
    await published(own_pool, own_jobs("nothing", nothing, attempts=3))
    run_id = await ask_now(own_pool, "nothing")
    await lose(own_pool, run_id, attempt=3)
    async with worker(settings):
        found = await ended(own_pool, run_id)
    assert (found.state, found.error) == ("failed", "Each of its attempts ended with its worker.")


async def test_a_time_that_passed_while_no_worker_was_there_is_made_up_for_once(settings, own_pool, own_jobs):
    three_hours_ago = datetime.now(UTC) - timedelta(hours=3)
    due = datetime.now(UTC) - timedelta(minutes=10)
    nightly = own_jobs("nightly", nothing, cron=f"{due.minute} {due.hour} * * *")
    fresh = own_jobs("fresh", nothing, cron=f"{due.minute} {due.hour} * * *")
    await published(own_pool, nightly, fresh)
    await own_pool.execute(
        "insert into job_run (name, ticket, state, created_at, ended_at) values ('nightly', 'x', 'succeeded', $1, $1)",
        three_hours_ago,
    )
    async with worker(settings), worker(settings):
        await until(lambda: own_pool.fetchval("select count(*) = 2 from job_run where state = 'succeeded'"))
        await asyncio.sleep(2)
    rows = await own_pool.fetch("select name, requested_by from job_run order by created_at")
    assert [tuple(row) for row in rows] == [("nightly", ""), ("nightly", "made up for a missed time")]


async def test_an_older_version_beside_it_neither_ends_a_worker_nor_hides_a_job_for_long(
    settings, own_pool, own_jobs, monkeypatch
):
    for name in ("PUBLISH_SECONDS", "MISSED_SECONDS"):
        monkeypatch.setattr(upkeep, name, 1.0, raising=False)
    due = datetime.now(UTC) - timedelta(minutes=10)
    nightly = own_jobs("nightly", nothing, cron=f"{due.minute} {due.hour} * * *")
    await published(own_pool, nightly)
    await own_pool.execute(
        "insert into job_run (name, ticket, state, created_at, ended_at)"
        " values ('nightly', 'x', 'succeeded', now() - interval '3 hours', now())"
    )
    monkeypatch.setattr(upkeep, "JOBS", ())
    async with worker(settings) as running:
        await until(lambda: own_pool.fetchval("select gone_at is not null from job where name = 'nightly'"))
        monkeypatch.setattr(upkeep, "JOBS", (nightly,))
        await until(lambda: own_pool.fetchval("select count(*) = 2 from job_run where state = 'succeeded'"))
        assert not running.task.done()


async def test_a_run_that_has_ended_is_not_begun_again(settings, own_pool, own_jobs):
    job = own_jobs("nothing", nothing)
    await published(own_pool, job)
    run_id = await ask_now(own_pool, "nothing")
    async with worker(settings) as running:
        await ended(own_pool, run_id)
        # Its end is written down before its lock is free.
        async with asyncio.timeout(10):
            while (again := await perform(running.context, job, f"run-{run_id}")) is Outcome.BUSY:
                await asyncio.sleep(0.05)
        assert again is Outcome.OVER


def test_a_process_refuses_what_cannot_be():
    with pytest.raises(ValueError, match="PORT_OFFSET"):
        JobSettings().moved(60_000)
    assert JobSettings(port=0).moved(60_000).port == 0
    assert JobSettings().moved(100).port == 10_093
