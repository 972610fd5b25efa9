"""The job `log-partitions` with a log store, killed behind any of its statements: nothing leaves PostgreSQL that ClickHouse
has not, and it ends as if nobody had killed it."""

import asyncio
import json
import os
import random
import subprocess
import sys
from datetime import UTC, datetime, timedelta
from uuid import uuid4

import pytest

from domain.partitions import present_days, today
from tests.clickhouse.moving import send_all
from tests.conftest import ROOT_FOLDER
from tests.usage import call, stored

AGES = (0, 1, 2, 3, 47, 60, 80)
OLD = [today() - timedelta(days=age) for age in sorted(AGES, reverse=True) if age > 1]
# Forks for each run, as a start from nothing takes longer than the job. A number of statements, or 0: to its end.
JOB = """
import asyncio, json, os, signal, sys
from datetime import UTC, datetime, timedelta
from functools import partial
import asyncpg
from domain.log_store.clickhouse import ClickHouse
from domain.log_store.rollup_moving import move_rollups
from domain.settings import load_settings
from jobs import log_partitions
from jobs.work import Work

log_partitions.move_rollups = partial(move_rollups, most_rows=5, grace=timedelta(0))
post = ClickHouse._post

async def job(kill_behind):
    done = 0
    def count(*_):
        nonlocal done
        done += 1
        if done == kill_behind:
            os.kill(os.getpid(), signal.SIGKILL)
    async def posting(*arguments, **more):
        answer = await post(*arguments, **more)
        count()
        return answer
    ClickHouse._post = posting
    async def watch(connection):
        connection.add_query_logger(count)
    async with asyncpg.create_pool(os.environ["DATABASE_URL"], min_size=1, max_size=1, init=watch) as pool:
        print(json.dumps(await log_partitions.run(Work(pool, None, load_settings(), lambda: datetime.now(UTC)))), flush=True)

for line in sys.stdin:
    if (child := os.fork()) == 0:
        asyncio.run(job(int(line)))
        os._exit(0)
    if os.WIFSIGNALED(os.waitpid(child, 0)[1]):
        print("null", flush=True)
"""
HERE = """
select sent, (select coalesce(jsonb_agg(id::text), '[]') from request_log) as ids, requests, cost, count
  from (select coalesce(max(sent), 0) as sent from rollup_mark) m,
       lateral (select sum(requests)::bigint as requests, sum(cost_micro)::bigint as cost,
                       sum((select sum(n) from unnest(latency) as u (n)))::bigint as count
                  from (select requests, cost_micro, latency from usage_rollup where grain <> 'minute'
                        union all select requests, cost_micro, latency from usage_rollup_moved where shipment > sent) r) s
"""
THERE = """
select sum(requests), sum(cost_micro), sum(arraySum(latency)) from usage_rollup where shipment <= {sent:Int64}
"""
SUMMED = "select sum(requests)::bigint, sum(cost_micro)::bigint from usage_summary where grain = 'day'"


class Job:
    """A process that runs the job, each time in a process of its own."""

    def __init__(self, database_url: str, log_store_url: str) -> None:
        environment = {
            **os.environ, "DATABASE_URL": database_url, "LOG_STORE_URL": log_store_url, "LOG_RETENTION_DAYS": "400",
        }  # fmt: skip
        self.process = subprocess.Popen(
            [sys.executable, "-c", JOB], cwd=ROOT_FOLDER, env=environment, text=True, bufsize=1,
            stdin=subprocess.PIPE, stdout=subprocess.PIPE,
        )  # fmt: skip

    async def run(self, kill_behind: int = 0) -> dict | None:
        """Its result; None: it was killed behind so many statements."""
        self.process.stdin.write(f"{kill_behind}\n")
        async with asyncio.timeout(60):
            return json.loads(await asyncio.to_thread(self.process.stdout.readline))

    def close(self) -> None:
        self.process.stdin.close()
        self.process.wait()
        self.process.stdout.close()


@pytest.fixture
def job(fresh_database_url, log_store_url):
    started = Job(fresh_database_url, log_store_url)
    yield started
    started.close()


async def _fill(database, dice) -> set[str]:
    organizations, keys, now = [uuid4(), uuid4()], [uuid4() for _ in range(3)], datetime.now(UTC)
    for age in AGES:
        at = now - timedelta(days=age)
        some = [
            call(dice.choice(organizations), at, dice.choice(keys), uuid4(), cost_micro=dice.randrange(9))
            for _ in range(6)
        ]
        await stored(database, some)
    return {str(row["id"]) for row in await database.fetch("select id from request_log")}


async def _all(database, store) -> tuple:
    """Every log row that is anywhere, and the sums of all rollups by key, PostgreSQL looked at first: what has left it by
    then has to be there."""
    here = await database.fetchrow(HERE)
    ids = {row[0] for row in await store.rows("select id from request_log")} | set(json.loads(here["ids"]))
    there = (await store.rows(THERE, {"sent": here["sent"]}))[0]
    sums = [(ours or 0) + int(theirs) for ours, theirs in zip(tuple(here)[2:], there, strict=True)]
    return ids, sums


async def _everything(database, store) -> tuple:
    """All that the job touches."""
    rows = await store.rows("select * from request_log order by id")
    rollups = await store.rows("select * from usage_rollup order by shipment, bucket, key_id, service_id, operation_id")
    tables = [
        await database.fetch(f"select * from {name} order by 1, 2")
        for name in ("request_log", "log_day", "rollup_mark", "usage_rollup_moved")
    ]
    summaries = await database.fetchrow(SUMMED)
    return rows, rollups, tables, summaries, await database.fetchval("select count(*) from usage_rollup")


@pytest.mark.parametrize("kills", [0, 30])
async def test_nothing_leaves_before_it_is_there_killed_or_not_and_a_second_run_changes_nothing(
    database, turned_on, job, kills
):
    dice = random.Random(11)
    ids = await _fill(database, dice)
    whole, days, summed = await _all(database, turned_on), await present_days(database), await database.fetchrow(SUMMED)
    assert whole[0] == ids
    # Nothing is sent yet, so every day stays; rollups go, and they are the job's own to send.
    for _ in range(kills // 3):
        await job.run(dice.randrange(1, 60))
        assert await _all(database, turned_on) == whole
    first = await job.run()
    assert (first["dropped"], sorted(first["kept"])) == ([], [day.isoformat() for day in OLD])
    assert set(days) <= set(await present_days(database))
    assert await _all(database, turned_on) == whole
    # Sent, and one row of the oldest day is lost there: the day stays until it is sent again.
    await send_all(database, turned_on)
    lost = await database.fetchval("select id::text from request_log order by at limit 1")
    await turned_on.execute(
        "alter table request_log delete where id = {id:String} settings mutations_sync = 2", {"id": lost}
    )
    killed = 0
    for _ in range(kills):
        killed += await job.run(dice.randrange(1, 60)) is None
        assert await _all(database, turned_on) == whole
    assert bool(killed) == bool(kills)
    await job.run()
    assert OLD[0] in await present_days(database)
    assert await _all(database, turned_on) == whole
    await send_all(database, turned_on)
    await job.run()
    assert set(OLD).isdisjoint(await present_days(database))
    assert await database.fetchval("select count(*) from request_log") == 12
    assert await turned_on.rows("select count(), uniqExact(id) from request_log") == [[len(ids), len(ids)]]
    assert await _all(database, turned_on) == whole
    assert await database.fetchrow(SUMMED) == summed
    assert await database.fetchval(
        "select count(*) from usage_rollup where grain <> 'minute' and bucket < now() - interval '46 days'"
    ) == 0  # fmt: skip
    await job.run()
    before = await _everything(database, turned_on)
    again = await job.run()
    assert (again["made"], again["dropped"], again["kept"], again["rollups_moved"]) == (0, [], {}, 0)
    assert await _everything(database, turned_on) == before
