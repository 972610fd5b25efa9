"""Exactly once, whatever happens to the connection, and what happens while PostgreSQL is away."""

import asyncio
import time
from collections.abc import AsyncIterator
from urllib.parse import urlsplit

import pytest

from tests.deadlines import until
from tests.snapshots import log_row
from tests.wire.fault_proxy import Direction, FaultProxy

COUNTS = """
select (select count(*) from request_log), (select count(distinct id) from request_log),
       (select coalesce(sum(requests), 0)::bigint from usage_rollup where grain = 'day')
"""


@pytest.fixture
async def proxy(fresh_database_url) -> AsyncIterator[FaultProxy]:
    target = urlsplit(fresh_database_url)
    async with FaultProxy((target.hostname, target.port)) as started:
        yield started


@pytest.fixture
def proxied_url(proxy, fresh_database_url) -> str:
    port = urlsplit(fresh_database_url).port
    return fresh_database_url.replace(f":{port}/", f":{proxy.address[1]}/") + "?sslmode=disable"


class Commits(Direction):
    """Towards the server: breaks off the first COMMIT before it is sent, or holds back its answer."""

    def __init__(self, proxy: FaultProxy, *, deliver: bool) -> None:
        super().__init__()
        self._proxy, self._deliver, self.caught = proxy, deliver, False

    async def admit(self, piece: bytes) -> tuple[bytes, str]:
        at = piece.lower().find(b"commit\x00")
        if at < 0 or self.caught:
            return await super().admit(piece)
        self.caught = True
        if not self._deliver:
            return piece[: max(0, at - 5)], "reset"
        self._proxy.to_client.hold()
        return await super().admit(piece)


async def stored(database) -> tuple[int, int, int]:
    return tuple(await database.fetchrow(COUNTS))


async def test_the_answer_to_a_commit_is_lost(database, proxy, proxied_url, recorder_on):
    proxy.to_server = commits = Commits(proxy, deliver=True)
    recorder = await recorder_on(proxied_url)
    for _ in range(50):
        recorder.record(log_row())
    await until(lambda: commits.caught)
    while not (await stored(database))[0]:
        await asyncio.sleep(0.01)
    proxy.reset_all()
    proxy.to_client.release()
    await until(lambda: recorder.status().written == 50)
    assert await stored(database) == (50, 50, 50)
    assert recorder.status().rejected == 0


async def test_a_commit_is_lost_before_it_arrives(database, proxy, proxied_url, recorder_on):
    proxy.to_server = commits = Commits(proxy, deliver=False)
    recorder = await recorder_on(proxied_url)
    for _ in range(50):
        recorder.record(log_row())
    await until(lambda: recorder.status().written == 50)
    assert commits.caught
    assert await stored(database) == (50, 50, 50)


async def test_connections_terminated_all_the_time(database, fresh_database_url, recorder_on):
    recorder = await recorder_on(fresh_database_url, flush_ms=5)
    kill = "select pg_terminate_backend(pid) from pg_stat_activity where application_name = 'paid-endpoint recorder'"
    recorded, terminated = 0, 0
    while terminated < 8:
        for _ in range(100):
            recorder.record(log_row())
        recorded += 100
        await asyncio.sleep(0.02)
        terminated += len(await database.fetch(kill + " and datname = current_database()"))
    await until(lambda: recorder.status().written == recorded, seconds=30)
    assert await stored(database) == (recorded, recorded, recorded)
    assert recorder.status().dropped == recorder.status().rejected == 0


async def test_away_and_back_keeps_every_row(database, proxy, proxied_url, recorder_on, caplog):
    recorder = await recorder_on(proxied_url, flush_ms=5)
    recorder.record(log_row())
    await until(lambda: recorder.status().written == 1)
    proxy.refuse = True
    proxy.reset_all()
    for _ in range(300):
        recorder.record(log_row())
    await until(lambda: recorder.status().fault)
    assert recorder.status().queued == 300
    assert recorder.status().lag_seconds > 0
    proxy.refuse = False
    await until(lambda: recorder.status().written == 301)
    assert await stored(database) == (301, 301, 301)
    assert recorder.status().fault == ""
    assert "kept in memory" in caplog.text
    assert "stored again" in caplog.text


async def test_without_room_the_oldest_are_lost_counted_and_reported(database, proxy, proxied_url, recorder_on, caplog):
    proxy.refuse = True
    recorder = await recorder_on(proxied_url, flush_ms=5, queue_rows=1_000)
    rows = [log_row() for _ in range(1_500)]
    for row in rows:
        recorder.record(row)
    await until(lambda: "ROWS LOST" in caplog.text)
    assert recorder.status().queued == 1_000
    assert recorder.status().dropped == 500
    proxy.refuse = False
    await until(lambda: recorder.status().written == 1_000)
    kept = {record["id"] for record in await database.fetch("select id from request_log")}
    assert rows[-1].id in kept
    assert len(kept) == 1_000


async def test_stopping_while_away_ends_in_time_and_counts_what_is_lost(proxy, proxied_url, recorder_on, caplog):
    proxy.refuse = True
    recorder = await recorder_on(proxied_url, flush_ms=5)
    for _ in range(10):
        recorder.record(log_row())
    await until(lambda: recorder.status().fault)
    begun = time.monotonic()
    await recorder.stop(drain=0.2)
    assert time.monotonic() - begun < 2
    assert recorder.status().dropped == 10
    assert "ROWS LOST: 10" in caplog.text


async def test_recording_does_not_wait_for_a_hung_database(proxy, proxied_url, recorder_on):
    recorder = await recorder_on(proxied_url, flush_ms=5)
    proxy.to_server.hold()
    begun = time.monotonic()
    for _ in range(1_000):
        recorder.record(log_row())
    assert time.monotonic() - begun < 0.5
    proxy.to_server.release()
    await until(lambda: recorder.status().written == 1_000, seconds=20)


async def test_a_batch_that_was_stored_by_a_late_commit_is_not_stored_again(database, fresh_database_url, recorder_on):
    """The commit of a lost connection may end after its rows were looked for: then the second copy is refused."""
    recorder = await recorder_on(fresh_database_url)
    rows = [log_row() for _ in range(3)]
    for row in rows:
        recorder.record(row)
    await until(lambda: recorder.status().written == 3)
    for row in rows:
        recorder.record(row)
    await until(lambda: recorder.status().rejected == 3)
    assert await stored(database) == (3, 3, 3)
