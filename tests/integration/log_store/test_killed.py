"""Exactly once into ClickHouse, whatever is killed: who sends, ClickHouse itself, PostgreSQL's connections.

The journals are the truth: what workers wrote down is in ClickHouse to the row, and what it cost is what the ledger took.
"""

import asyncio
import os
import random
import signal
import subprocess
import sys
from collections.abc import AsyncIterator
from uuid import uuid4

import pytest

from domain.faults import Unavailable
from domain.log_store.address import parse_address
from domain.log_store.clickhouse import ClickHouse
from domain.log_store.shipping import Shipper
from domain.log_store.turning import turn_on
from domain.settings import Settings
from tests.clickhouse.server import clickhouse_server
from tests.conftest import ROOT_FOLDER
from tests.deadlines import until
from tests.integration.domain.credits.accounts import bonus, new_organization, posted
from tests.integration.domain.ingesting.conftest import counted, ingest, journals, writer_in  # noqa: F401  fixtures
from tests.journals import dimensions, record
from tests.snapshots import log_row, store

SHIP = """
import asyncio
from domain.log_store import outbox, shipping
from domain.settings import load_settings
outbox.MOST_ROWS, shipping.PAUSE_SECONDS, shipping._STANDBY_SECONDS, shipping._FIRST_DELAY = 200, 0.02, 0.1, 0.1
asyncio.run(shipping.Shipper(load_settings()).run())
"""
SUMS = "select count(), uniqExact(id), sum(cost_micro) from request_log"
COST = 3


class Sender:
    """A shipper's process that can be killed, and is started again."""

    def __init__(self, database_url: str, log_store_url: str) -> None:
        self._environment = {**os.environ, "DATABASE_URL": database_url, "LOG_STORE_URL": log_store_url}
        self.start()

    def start(self) -> None:
        self.process = subprocess.Popen(
            [sys.executable, "-c", SHIP], cwd=ROOT_FOLDER, env=self._environment, stderr=subprocess.DEVNULL
        )

    def kill(self) -> None:
        self.process.send_signal(signal.SIGKILL)
        self.process.wait()


@pytest.fixture
def own_clickhouse():
    """A server that this test may kill."""
    with clickhouse_server() as server:
        yield server


@pytest.fixture
async def own_store(own_clickhouse, fresh_database_url) -> AsyncIterator[ClickHouse]:
    store = ClickHouse(parse_address(own_clickhouse.url("logs")))
    await turn_on(fresh_database_url, store)
    yield store
    await store.close()


async def all_there(store: ClickHouse, rows: int, cost: int, seconds: float = 60.0) -> None:
    """Return when ClickHouse has exactly these; fail if it ever has more, or one twice."""
    async with asyncio.timeout(seconds):
        while True:
            try:
                found, unique, sum_ = (await store.rows(SUMS))[0]
            except (Unavailable, TimeoutError):
                found = -1
            else:
                assert (found, sum_) == (unique, unique * COST), "a row is there twice"
                assert found <= rows
            if found == rows:
                assert sum_ == cost
                return
            await asyncio.sleep(0.05)


async def test_sender_and_clickhouse_killed_again_and_again_while_workers_write(
    database, fresh_database_url, writer_in, ingest, own_clickhouse, own_store  # noqa: F811  fixtures
):  # fmt: skip
    pick, written = random.Random(5), 0
    owner = await new_organization(database)
    await posted(database, bonus(owner, 10**9))
    who = [dimensions(owner, uuid4()) for _ in range(40)]
    writer, _ = await writer_in(), await ingest()
    sender = Sender(fresh_database_url, own_clickhouse.url("logs"))
    try:
        for turn in range(14):
            until_kill = asyncio.get_running_loop().time() + pick.uniform(0.2, 0.8)
            while asyncio.get_running_loop().time() < until_kill:
                some = [record(dimensions=pick.choice(who), cost_micro=COST) for _ in range(pick.randrange(1, 60))]
                writer.end(*some)
                written += len(some)
                await asyncio.sleep(0.01)
            if turn % 4 == 3:
                await asyncio.to_thread(own_clickhouse.kill)
                writer.end(record(dimensions=who[0], cost_micro=COST))
                written += 1
                await asyncio.to_thread(own_clickhouse.start)
            else:
                sender.kill()
                sender.start()
        await counted(database, written, seconds=60)
        await all_there(own_store, written, written * COST)
        # It forgets a batch after ClickHouse has it: whoever ends it in between finds the note of a batch that is there.
        async with asyncio.timeout(60):
            while await database.fetchval("select count(*) from log_outbox"):
                await asyncio.sleep(0.05)
    finally:
        sender.kill()
    assert written > 1_000
    charged = "select sum(amount_micro)::bigint from credit_entry where type = 'usage' and organization_id = $1"
    assert await database.fetchval(charged, owner) == written * COST
    here = await database.fetch("select id::text from request_log order by 1")
    there = await own_store.rows("select id from request_log order by id", seconds=20)
    assert [row["id"] for row in here] == [row[0] for row in there]


async def test_clickhouse_away_delays_nobody_and_what_waits_is_told(
    database, fresh_database_url, writer_in, ingest, own_clickhouse, own_store, monkeypatch  # noqa: F811  fixtures
):  # fmt: skip
    monkeypatch.setenv("DATABASE_URL", fresh_database_url)
    monkeypatch.setenv("LOG_STORE_URL", own_clickhouse.url("logs"))
    own_clickhouse.kill()
    shipper = Shipper(Settings())
    running = asyncio.create_task(shipper.run())
    writer, ingester = await writer_in(), await ingest()
    for _ in range(5):
        writer.end(*[record(cost_micro=COST) for _ in range(100)])
        await asyncio.sleep(0.05)
    await counted(database, 500)
    assert ingester.status().fault == ""
    await until(lambda: shipper.status().fault, 20)
    assert shipper.status().active or "LogStoreAway" in shipper.status().fault
    await asyncio.to_thread(own_clickhouse.start)
    await until(lambda: shipper.status().sent == 500, 60)
    await until(lambda: not shipper.status().fault, 20)
    await all_there(own_store, 500, 500 * COST)
    shipper.stop()
    await running


async def test_two_senders_of_one_installation_send_each_row_once(
    database, fresh_database_url, turned_on, log_store_url
):
    senders = [Sender(fresh_database_url, log_store_url) for _ in range(2)]
    try:
        for number in range(30):
            await store(database, [log_row(cost_micro=COST) for _ in range(20)])
            if number == 15:
                senders[0].kill()
        await all_there(turned_on, 600, 600 * COST)
    finally:
        senders[1].kill()


async def test_connections_of_the_sender_terminated_all_the_time(
    database, fresh_database_url, turned_on, log_store_url
):
    sender = Sender(fresh_database_url, log_store_url)
    kill = (
        "select pg_terminate_backend(pid) from pg_stat_activity"
        " where application_name = 'paid-endpoint log shipper' and datname = current_database()"
    )
    written, terminated = 0, 0
    try:
        while terminated < 8:
            await store(database, [log_row(cost_micro=COST) for _ in range(30)])
            written += 30
            await asyncio.sleep(0.1)
            terminated += len(await database.fetch(kill))
        await all_there(turned_on, written, written * COST)
    finally:
        sender.kill()
