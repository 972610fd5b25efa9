"""Exactly once, whatever is killed: the ingester, PostgreSQL, the connection at its COMMIT."""

import asyncio
import random
import signal
import subprocess
import sys
from collections.abc import AsyncIterator
from urllib.parse import urlsplit
from uuid import uuid4

import asyncpg
import pytest

from tests.conftest import ROOT_FOLDER, make_template
from tests.deadlines import until
from tests.integration.domain.ingesting.conftest import counted, gone
from tests.journals import dimensions, record
from tests.wire.fault_proxy import Direction, FaultProxy

INGEST = """
import asyncio, sys
from pathlib import Path
from domain.ingesting import session
from domain.ingesting.ingester import Ingester
from domain.settings import DatabaseSettings
session.FOLD_SECONDS = 0.2
asyncio.run(Ingester(Path(sys.argv[1]), DatabaseSettings(url=sys.argv[2])).run())
"""


class Victim:
    """An ingester that can be killed, and is started again."""

    def __init__(self, journals, url: str) -> None:
        self._arguments = [sys.executable, "-c", INGEST, str(journals), url]
        self.start()

    def start(self) -> None:
        self.process = subprocess.Popen(self._arguments, cwd=ROOT_FOLDER, stderr=subprocess.DEVNULL)

    def kill(self) -> None:
        self.process.send_signal(signal.SIGKILL)
        self.process.wait()


@pytest.fixture
async def victim(journals, fresh_database_url) -> AsyncIterator[Victim]:
    made = Victim(journals, fresh_database_url)
    yield made
    made.kill()


async def test_the_ingester_killed_again_and_again_while_workers_write_and_die(database, writer_in, victim, journals):
    pick, written, who = random.Random(7), 0, [dimensions(uuid4(), uuid4()) for _ in range(300)]
    writers = [await writer_in() for _ in range(2)]
    for turn in range(15):
        until_kill = asyncio.get_running_loop().time() + pick.uniform(0.3, 0.9)
        while asyncio.get_running_loop().time() < until_kill:
            writer = pick.choice(writers)
            some = [record(dimensions=pick.choice(who)) for _ in range(pick.randrange(1, 60))]
            for one in some[:3]:
                writer.begin(one)
                writer.journal._open -= 1
            writer.end(*some)
            written += len(some)
            await asyncio.sleep(0.002)
        victim.kill()
        if turn % 5 == 4:
            dying = writers.pop(0)
            dying.begin(record(dimensions=who[0]))
            written += 1
            await dying.journal.stop()
            writers.append(await writer_in())
        victim.start()
    await counted(database, written, seconds=60)
    assert written > 5_000
    for writer in writers:
        await writer.journal.stop()
        await gone(writer.journal._supply.folder)
    ids = [writer.journal._supply.folder.name for writer in writers]
    async with asyncio.timeout(10):
        while await database.fetchval("select count(*) from journal_position where journal_id = any($1::uuid[])", ids):
            await asyncio.sleep(0.02)
    # A kill between the deletion of the files and that of the position leaves the position, said to be closed.
    assert not await database.fetchval("select count(*) from journal_position where segment < 2147483647")
    assert await database.fetchval("select count(*) from usage_unfolded") == 0
    assert await database.fetchval("select count(*) from request_log where outcome = 'cut'") == 3
    await counted(database, written)


async def test_postgres_killed_and_restarted_in_the_middle(embedded_services, writer_in, ingest):
    services = embedded_services
    await make_template(services.database_url)
    url = f"{services.database_url.rpartition('/')[0]}/migrated_template"
    writer, ingester, written = await writer_in(), await ingest(url), 0
    for _ in range(3):
        for _ in range(40):
            writer.end(*[record(dimensions=dimensions(uuid4())) for _ in range(20)])
            written += 20
            await asyncio.sleep(0.005)
        services.kill_postgres()
        writer.end(record())
        written += 1
        await until(lambda: ingester.status().fault)
        services.start_postgres()
        await until(lambda: not ingester.status().fault, 30)
    database = await asyncpg.connect(url)
    await counted(database, written, 30)
    await database.close()


class Commits(Direction):
    """Towards the server: breaks off a COMMIT before it is sent, or holds back its answer; the `turn`th one."""

    def __init__(self, proxy: FaultProxy, *, deliver: bool, turn: int) -> None:
        super().__init__()
        self._proxy, self._deliver, self._left = proxy, deliver, turn
        self.caught = False

    async def admit(self, piece: bytes) -> tuple[bytes, str]:
        text = piece.lower()
        at = max(text.find(b"commit\x00"), text.find(b"commit;\x00"))
        self._left -= at >= 0
        if at < 0 or self.caught or self._left:
            return await super().admit(piece)
        self.caught = True
        if not self._deliver:
            return piece[: max(0, at - 5)], "reset"
        self._proxy.to_client.hold()
        return await super().admit(piece)


@pytest.mark.parametrize("turn", [1, 2, 3])
@pytest.mark.parametrize("deliver", [True, False])
async def test_a_commit_whose_answer_is_lost_or_that_never_arrives(
    database, fresh_database_url, writer_in, ingest, deliver, turn
):
    target = urlsplit(fresh_database_url)
    async with FaultProxy((target.hostname, target.port)) as proxy:
        proxy.to_server = commits = Commits(proxy, deliver=deliver, turn=turn)
        url = fresh_database_url.replace(f":{target.port}/", f":{proxy.address[1]}/") + "?sslmode=disable"
        writer, ingester = await writer_in(), await ingest(url)
        written = 0
        while not commits.caught:
            writer.end(*[record() for _ in range(50)])
            written += 50
            await asyncio.sleep(0.02)
        if deliver:
            # Whichever transaction it was, it ends behind our back.
            await until_committed(database)
            proxy.reset_all()
            proxy.to_client.release()
        await until(lambda: ingester.status().faults)
        await counted(database, written)
        ingester.stop()


async def until_committed(database) -> None:
    """The commit whose answer is held back is over; the other connection may hang in the middle of something."""
    query = (
        "select count(*) from pg_stat_activity where application_name like 'paid-endpoint ingester%'"
        " and datname = current_database() and query ilike 'commit%' and state = 'idle'"
    )
    async with asyncio.timeout(10):
        while not await database.fetchval(query):
            await asyncio.sleep(0.02)


async def test_connections_terminated_all_the_time(database, writer_in, ingest):
    writer, ingester = await writer_in(), await ingest()
    kill = (
        "select pg_terminate_backend(pid) from pg_stat_activity"
        " where application_name like 'paid-endpoint ingester%' and datname = current_database()"
    )
    written, terminated = 0, 0
    while terminated < 12:
        if written < 5_000:  # where connecting takes long, not for as long as it takes
            writer.end(*[record(dimensions=dimensions(uuid4())) for _ in range(100)])
            written += 100
        await asyncio.sleep(0.05)
        terminated += len(await database.fetch(kill))
    await counted(database, written, 30)
    assert ingester.status().rejected == 0


async def test_away_from_the_start_and_back(database, fresh_database_url, writer_in, ingest):
    target = urlsplit(fresh_database_url)
    async with FaultProxy((target.hostname, target.port)) as proxy:
        proxy.refuse = True
        url = fresh_database_url.replace(f":{target.port}/", f":{proxy.address[1]}/") + "?sslmode=disable"
        writer, ingester = await writer_in(), await ingest(url)
        writer.end(*[record() for _ in range(300)])
        await until(lambda: ingester.status().lag_seconds > 0 and ingester.status().fault)
        assert ingester.status().spool_bytes > 0
        proxy.refuse = False
        await counted(database, 300)
        await until(lambda: ingester.status().fault == "")
        ingester.stop()
