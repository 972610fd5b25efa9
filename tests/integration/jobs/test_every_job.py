"""Every job: what it leaves behind, that a second run changes nothing, and F3: that SIGKILL in its middle changes nothing.

Each test has a copy of one database. A trigger makes the job's own statement wait at its n-th row for a lock that the test
holds, in a process of `paid-endpoint jobs run NAME --here`; that process is killed there, and the job is run again to its end.
"""

import asyncio
import contextlib
import os
import signal
import sys
import time
from collections.abc import AsyncIterator
from pathlib import Path

import asyncpg
import pytest
import redis

from domain.audit import Actor
from domain.job_runs import publish, request_run
from domain.settings import KeySettings
from jobs.registry import JOBS, job_named
from jobs.work import Work
from tests.conftest import copy_template, database_of, in_own_thread
from tests.databases import PEPPERS
from tests.integration.jobs.conftest import SECRETS, job_settings
from tests.integration.jobs.worlds import build, picture

ROOT = Path(__file__).resolve().parents[3]
GATE = 7_236_119
"""Advisory lock at which a job is stopped."""

CHANGES = {
    "log-partitions": {"days", "partitions", "summaries", "logs"},
    "log-summaries": {"days", "summaries"},
    "subscriptions": {"subscriptions"},
    "reminders": {"notices", "mails"},
    "usage-alerts": {"alerts", "mails", "webhook_event", "webhook_delivery"},
    "credit-sweep": {"reservations", "accounts", "leases", "credit_lease", "jobs"},
    "credit-expiry": {"entries", "accounts", "grants"},
    "ledger-reconciliation": set(),
    "stale-rows": {
        "portal_session", "user_link", "access_token", "invitation", "api_reply", "mails", "idempotent_request",
        "webhook_delivery", "webhook_event", "notices",
        "alerts", "jobs", "claims",
    },
    "key-hygiene": set(),
    "audit-seal": {"sealed", "unsealed"},
}  # fmt: skip
"""What each job changes in that world, and it changes nothing else."""

# Where a job is stopped in its middle: the table whose rows it writes, and at which row.
STOPS = [
    ("log-partitions", "log_summary", 2), ("log-partitions", "log_day", 3), ("log-partitions", "log_day", 9),
    ("log-summaries", "log_summary", 5), ("log-summaries", "log_day", 4),
    ("subscriptions", "subscription", 1), ("subscriptions", "subscription", 3),
    ("reminders", "notice", 2), ("reminders", "outbox_message", 1), ("reminders", "outbox_message", 2),
    ("usage-alerts", "alert_state", 2), ("usage-alerts", "outbox_message", 1), ("usage-alerts", "webhook_event", 1),
    ("usage-alerts", "webhook_event", 3), ("usage-alerts", "alert_state", 4),
    ("credit-sweep", "credit_account", 2), ("credit-sweep", "credit_lease", 2),
    ("credit-expiry", "credit_grant", 3), ("credit-expiry", "credit_entry", 2),
    ("audit-seal", "audit_link", 3), ("stale-rows", "user_link", 2), ("stale-rows", "webhook_event", 1),
    ("stale-rows", "async_job", 2), ("stale-rows", "async_job", 7), ("stale-rows", "trial_claim", 2),
]  # fmt: skip

# Jobs that write nothing are stopped where they read this table, which somebody else has locked.
WAITS = [("ledger-reconciliation", "credit_entry"), ("key-hygiene", "api_key")]

_STOP = """
create sequence stop_here;
create function stop_here() returns trigger language plpgsql as $$
begin
    if nextval('stop_here') = {nth} then perform pg_advisory_xact_lock({gate}); end if;
    return coalesce(new, old);
end $$;
create trigger stop_here before insert or update or delete on {table} for each row execute function stop_here();
"""
STOPPED = f"""
select count(*) from pg_locks where locktype = 'advisory' and not granted and objid = {GATE}
   and database = (select oid from pg_database where datname = current_database())
"""
_WAITS = """
select count(*) from pg_stat_activity where datname = current_database() and wait_event_type = 'Lock' and wait_event = 'relation'
"""
_QUIET = "select count(*) = 1 from pg_stat_activity where datname = current_database()"


@pytest.fixture(scope="module")
def world(server_urls, worker_number) -> str:
    """Name of a database that is copied for each test, and that nobody is connected to."""
    name = f"world_{worker_number}"

    async def make() -> None:
        connection = await asyncpg.connect(await copy_template(server_urls[0], name))
        await build(connection)
        await connection.close()

    in_own_thread(make)
    return name


async def copy(server_urls, world: str, name: str) -> str:
    connection = await asyncpg.connect(server_urls[0])
    await connection.execute(f"drop database if exists {name} with (force)")
    await connection.execute(f"create database {name} template {world}")
    await connection.close()
    return database_of(server_urls[0], name)


@pytest.fixture
async def twins(server_urls, world, worker_number) -> AsyncIterator[tuple[str, str]]:
    """Two copies of the world."""
    names = [f"twin_{side}_{worker_number}" for side in "ab"]
    yield tuple([await copy(server_urls, world, name) for name in names])
    connection = await asyncpg.connect(server_urls[0])
    for name in names:
        await connection.execute(f"drop database if exists {name} with (force)")
    await connection.close()


async def seen(dsn: str) -> dict:
    connection = await asyncpg.connect(dsn)
    try:
        return await picture(connection)
    finally:
        await connection.close()


async def run(dsn: str, name: str):
    settings = job_settings(dsn, "redis://127.0.0.1:1/0")
    settings.keys = KeySettings(peppers=PEPPERS)
    async with asyncpg.create_pool(dsn, min_size=1, max_size=4) as pool:
        return await job_named(name).load()(Work(pool, None, settings))


def command(dsn: str, *arguments: str, redis_url: str = "redis://127.0.0.1:1/0"):
    environment = {
        **os.environ, "DATABASE_URL": dsn, "REDIS_URL": redis_url, "SECRET_KEYS": SECRETS,
        "KEY_PEPPERS": PEPPERS, "JOBS_PORT": "0", "JOBS_TAKEOVER_SECONDS": "1",
    }  # fmt: skip
    return asyncio.create_subprocess_exec(
        sys.executable, "-m", "cli.main", "jobs", *arguments, cwd=ROOT, env=environment,
        stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE,
    )  # fmt: skip


async def until(connection, statement: str, seconds: float = 60) -> None:
    deadline = time.monotonic() + seconds
    while not await connection.fetchval(statement):
        assert time.monotonic() < deadline, f"did not happen: {statement}"
        await asyncio.sleep(0.02)


def test_no_job_is_left_out():
    every = {job.name for job in JOBS}
    assert CHANGES.keys() == every, "say what the job changes, and let worlds.py give it something to do"
    assert {name for name, _, _ in STOPS} == {name for name, changes in CHANGES.items() if changes}
    assert {name for name, *_ in (*STOPS, *WAITS)} == every, "each job is killed in its middle"


@pytest.mark.parametrize("name", CHANGES)
async def test_a_job_changes_what_it_is_for_and_a_second_run_nothing(twins, name):
    before = await seen(twins[1])
    await run(twins[0], name)
    once = await seen(twins[0])
    changed = {part for part in before if before[part] != once[part]}
    if name == "subscriptions":
        changed -= {"webhook_event", "webhook_delivery"}  # it tells of them
    assert changed == CHANGES[name]
    await run(twins[0], name)
    assert await seen(twins[0]) == once


@pytest.mark.slow
@pytest.mark.parametrize(("name", "table", "nth"), STOPS)
async def test_f3_a_job_that_is_killed_in_its_middle_and_run_again_ends_like_one_that_was_not(twins, name, table, nth):
    killed, undisturbed = twins
    await run(undisturbed, name)
    connection = await asyncpg.connect(killed)
    await stop_at(connection, table, nth)
    process = await command(killed, "run", name, "--here")
    await until(connection, STOPPED)
    await kill(process, connection)
    await connection.execute("select pg_advisory_unlock($1)", GATE)
    await run_to_its_end(killed, name, connection)
    assert await seen(killed) == await seen(undisturbed)


@pytest.mark.slow
@pytest.mark.parametrize(("name", "table"), WAITS)
async def test_f3_a_job_that_only_reads_is_killed_in_its_middle_and_run_again(twins, name, table):
    killed, undisturbed = twins
    await run(undisturbed, name)
    connection, other = await asyncpg.connect(killed), await asyncpg.connect(killed)
    async with other.transaction():
        await other.execute(f"lock table {table} in access exclusive mode")
        process = await command(killed, "run", name, "--here")
        await until(connection, _WAITS)
        await kill(process, connection)
    await other.close()
    await run_to_its_end(killed, name, connection)
    assert await seen(killed) == await seen(undisturbed)


async def stop_at(connection, table, nth):
    """Whoever writes the n-th row of the table waits until this connection gives the gate free."""
    await connection.execute(_STOP.format(table=table, nth=nth, gate=GATE))
    await connection.execute("select pg_advisory_lock($1)", GATE)


async def kill(process, connection):
    process.send_signal(signal.SIGKILL)
    await process.wait()
    assert await connection.fetchval("select state from job_run") == "running"


async def run_to_its_end(dsn, name, connection):
    """As the next worker does; closes the connection."""
    # What the server had begun for the dead one, it ends or takes back by itself.
    await until(connection, _QUIET)
    again = await command(dsn, "run", name, "--here", "--json")
    out, errors = await asyncio.wait_for(again.communicate(), 120)
    assert again.returncode == 0, (out, errors)
    assert await connection.fetchval("select count(*) from job_run where state = 'succeeded'") == 1
    await connection.close()


@pytest.mark.parametrize("name", CHANGES)
async def test_two_at_once_end_like_one(twins, name):
    """Without the lock that keeps them apart: a connection that is lost gives it back while its job goes on."""
    together, alone = twins
    await run(alone, name)
    done = await asyncio.gather(*(run(together, name) for _ in range(2)), return_exceptions=True)
    assert not all(isinstance(one, BaseException) for one in done), done
    await run(together, name)
    assert await seen(together) == await seen(alone)


@pytest.mark.slow
@pytest.mark.timeout(300)
async def test_f3_all_jobs_by_two_workers_of_which_one_is_killed_end_like_each_alone(twins, redis_url):
    together, alone = twins
    for name in CHANGES:
        await run(alone, name)
    connection = await asyncpg.connect(together)
    await publish(connection, [job.record for job in JOBS])
    # Asked for at once, before anybody is there; the first worker dies in the middle of what it began.
    async with connection.transaction():
        for name in CHANGES:
            await request_run(connection, name, {}, Actor(name="test"))
    await stop_at(connection, "log_summary", 3)
    workers = [await command(together, redis_url=redis_url) for _ in range(2)]
    try:
        await until(connection, STOPPED)
        busy = await connection.fetchval("select worker from job_run where name like 'log-%' and state = 'running'")
        dead, left = sorted(workers, key=lambda worker: not busy.endswith(f":{worker.pid}"))
        dead.send_signal(signal.SIGKILL)
        await connection.execute("select pg_advisory_unlock($1)", GATE)
        await until(connection, "select count(*) = 0 from job_run where ended_at is null", 180)
        left.send_signal(signal.SIGTERM)
        await asyncio.wait_for(left.communicate(), 30)
        assert left.returncode == 0
    finally:
        for worker in workers:
            if worker.returncode is None:
                worker.kill()
                await worker.communicate()
        with contextlib.closing(redis.Redis.from_url(redis_url)) as client:
            client.flushdb()
    states = await connection.fetch("select name, state, max(attempt) as attempt from job_run group by 1, 2")
    assert {(row["name"], row["state"]) for row in states} == {(name, "succeeded") for name in CHANGES}
    assert max(row["attempt"] for row in states) == 2, "what the dead worker had begun was begun again"
    await connection.close()
    assert await seen(together) == await seen(alone)
