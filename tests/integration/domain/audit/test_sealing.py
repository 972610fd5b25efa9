"""Every committed entry is linked exactly once, in an order that never changes, whoever writes, seals or dies meanwhile."""

import asyncio
import random
import signal
import subprocess
import sys
from datetime import date, timedelta

import asyncpg
import pytest

from domain.audit_chain import sealing
from domain.audit_chain.sealing import seal
from domain.audit_chain.standing import read_standing
from domain.audit_chain.verifying import verify
from tests.conftest import ROOT_FOLDER
from tests.integration.domain.audit.entries import TODAY, links, write

SEAL_FOR_EVER = """
import asyncio, sys
import asyncpg
from domain.audit_chain import sealing
sealing.BATCH = 7
async def run():
    connection = await asyncpg.connect(sys.argv[1])
    print("ready", flush=True)
    while True:
        await sealing.seal(connection, most=100)
asyncio.run(run())
"""


@pytest.fixture
def small_batches(monkeypatch):
    monkeypatch.setattr(sealing, "BATCH", 7)


async def day_of(connection, position):
    return await connection.fetchval("select day from audit_link where position = $1", position)


async def assert_linked_once(connection):
    """All entries and nothing else stand in the chain, from 1 on, and it is sound."""
    while await seal(connection, most=10_000):
        pass
    chain = await links(connection)
    assert [position for position, _, _ in chain] == list(range(1, len(chain) + 1))
    entries = {row["id"] for row in await connection.fetch("select id from audit_entry")}
    assert len(chain) == len(entries)
    assert {entry for _, entry, _ in chain} == entries
    found = await verify(connection)
    assert found.breach is None
    assert (found.verified, found.unsealed) == (len(chain), 0)


async def test_nothing_to_seal(fresh):
    assert await seal(fresh, most=10) == 0
    found = await verify(fresh)
    assert (found.sound, found.verified, found.head) == (True, 0, "00" * 32)
    standing = await read_standing(fresh)
    assert (standing.sound, standing.waiting, standing.position) == (True, 0, 0)


async def test_entries_are_linked_in_the_order_in_which_they_were_written(fresh, small_batches):
    written = await write(fresh, 20)
    found = await verify(fresh)
    assert (found.sound, found.verified, found.unsealed) == (True, 0, 20)
    assert (await read_standing(fresh)).waiting == 20
    assert await seal(fresh, most=10) == 10
    assert await seal(fresh, most=100) == 10
    assert [entry for _, entry, _ in await links(fresh)] == written
    assert await fresh.fetchval("select count(*) from audit_seal") == 4
    await assert_linked_once(fresh)


async def test_who_commits_late_has_a_later_place_and_the_days_never_go_back(fresh, fresh_database_url):
    late = await asyncpg.connect(fresh_database_url)
    transaction = late.transaction()
    await transaction.start()
    (slow,) = await write(late, at=TODAY - timedelta(minutes=1))
    await write(fresh, 3)
    assert await seal(fresh, most=10) == 3
    before = await links(fresh)
    await transaction.commit()
    await late.close()
    assert await seal(fresh, most=10) == 1
    chain = await links(fresh)
    assert chain[:3] == before
    assert chain[3][1] == slow
    assert await day_of(fresh, 4) == await day_of(fresh, 3)
    await assert_linked_once(fresh)


@pytest.mark.parametrize("moment", ["infinity", "5000-01-01", "294000-01-01"])
async def test_a_clock_that_was_ahead_takes_no_day_with_it(fresh, moment):
    for at in (moment, str(TODAY - timedelta(days=3)), "-infinity", "4000-01-01 BC"):
        await fresh.execute(
            "insert into audit_entry (created_at, actor_kind, verb) select $1::text::timestamptz, 'system', 'key.create'",
            at,
        )
    assert await seal(fresh, most=10) == 4
    today: date = await fresh.fetchval("select (now() at time zone 'UTC')::date")
    assert {await day_of(fresh, position) for position in range(1, 5)} == {today}
    await assert_linked_once(fresh)


async def test_what_was_rolled_back_is_not_waited_for(fresh):
    transaction = fresh.transaction()
    await transaction.start()
    await write(fresh, 5)
    await transaction.rollback()
    await write(fresh, 2)
    assert await seal(fresh, most=10) == 2
    await assert_linked_once(fresh)


async def test_two_sealers_at_once_link_everything_once(fresh, fresh_database_url, small_batches):
    written = await write(fresh, 400)
    sealers = [await asyncpg.connect(fresh_database_url) for _ in range(3)]
    linked = await asyncio.gather(*(seal(sealer, most=1_000) for sealer in sealers))
    assert sum(linked) == 400
    for sealer in sealers:
        await sealer.close()
    assert [entry for _, entry, _ in await links(fresh)] == written
    await assert_linked_once(fresh)


async def test_writers_with_slow_transactions_while_two_seal(fresh, fresh_database_url, small_batches):
    pick, writing = random.Random(44), True

    async def writer():
        connection = await asyncpg.connect(fresh_database_url)
        for _ in range(25):
            transaction = connection.transaction()
            await transaction.start()
            await write(connection, pick.randint(1, 4), at=TODAY - timedelta(hours=pick.randint(-1, 30)))
            await asyncio.sleep(pick.choice([0, 0, 0.01, 0.15]))
            await write(connection)
            await (transaction.rollback() if pick.random() < 0.2 else transaction.commit())
        await connection.close()

    async def sealer():
        connection, seen = await asyncpg.connect(fresh_database_url), []
        while writing:
            await seal(connection, most=pick.randint(1, 30))
            chain = await links(connection)
            assert chain[: len(seen)] == seen
            seen = chain
        await connection.close()
        return seen

    sealers = [asyncio.create_task(sealer()) for _ in range(2)]
    await asyncio.gather(*(writer() for _ in range(6)))
    writing = False
    for seen in await asyncio.gather(*sealers):
        assert (await links(fresh))[: len(seen)] == seen
    await assert_linked_once(fresh)


async def test_a_sealer_killed_again_and_again(fresh, fresh_database_url):
    pick = random.Random(7)
    for _ in range(6):
        await write(fresh, 150)
        victim = subprocess.Popen(
            [sys.executable, "-c", SEAL_FOR_EVER, fresh_database_url], cwd=ROOT_FOLDER, stdout=subprocess.PIPE
        )
        await asyncio.to_thread(victim.stdout.readline)
        await write(fresh, 50)
        await asyncio.sleep(pick.uniform(0.0, 0.15))
        victim.send_signal(signal.SIGKILL)
        victim.wait()
        victim.stdout.close()
    await assert_linked_once(fresh)
    assert len(await links(fresh)) == 1_200
