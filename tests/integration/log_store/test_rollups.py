"""Old rollups by key move to ClickHouse once, and whoever reads usage finds the same figures as if they had stayed."""

import asyncio
import os
import random
import signal
import subprocess
import sys
from contextlib import nullcontext
from datetime import UTC, datetime, timedelta
from importlib import import_module
from uuid import UUID, uuid4

import asyncpg
import pytest

from domain.access import Access
from domain.analytics.breakdown import read_breakdown
from domain.analytics.series import read_series
from domain.analytics.sources import Filter
from domain.analytics.windows import RANGES, window_of
from domain.credits.statistics import read_statistics
from domain.log_store import rollup_moving
from domain.log_store.clickhouse_logs import ClickHouseLogs
from domain.log_store.rollup_moving import RollupsDifferError, expire_hours, move_rollups, send, take
from domain.log_store.store import POSTGRES
from domain.what_if.history import read_rollups, used_between
from tests.conftest import ROOT_FOLDER
from tests.usage import call, stored

ZONES = ("UTC", "Europe/Berlin", "Asia/Kathmandu")
DAYS = 40
AT_ONCE = timedelta(0)
OLD = "select count(*) from usage_rollup where grain <> 'minute' and bucket < date_trunc('day', now(), 'UTC') - interval '40 days'"
THERE = "select count(), uniqExact(shipment), sum(requests), sum(cost_micro) from usage_rollup"
# Everything back where it was, as if nothing had moved: PostgreSQL still has what it sent.
BACK = """
insert into usage_rollup as r (organization_id, key_id, service_id, operation_id, bucket, grain, status_class, requests, errors,
       refused, bytes_in, bytes_out, upstream_us_sum, total_us_sum, cost_micro, latency)
select organization_id, key_id, service_id, operation_id, bucket, grain, status_class, requests, errors, refused, bytes_in,
       bytes_out, upstream_us_sum, total_us_sum, cost_micro, latency from usage_rollup_moved where shipment = $1
on conflict (organization_id, grain, bucket, key_id, service_id, operation_id, status_class) do update set
  requests = r.requests + excluded.requests, errors = r.errors + excluded.errors, refused = r.refused + excluded.refused,
  bytes_in = r.bytes_in + excluded.bytes_in, bytes_out = r.bytes_out + excluded.bytes_out,
  upstream_us_sum = r.upstream_us_sum + excluded.upstream_us_sum, total_us_sum = r.total_us_sum + excluded.total_us_sum,
  cost_micro = r.cost_micro + excluded.cost_micro,
  latency = array(select coalesce(x, 0) + coalesce(y, 0) from unnest(r.latency, excluded.latency) as u (x, y))
"""
MOVE = """
import asyncio, asyncpg, sys
from datetime import UTC, datetime, timedelta
from domain.log_store.address import parse_address
from domain.log_store.clickhouse import ClickHouse
from domain.log_store.rollup_moving import move_rollups

async def run():
    connection, store = await asyncpg.connect(sys.argv[1]), ClickHouse(parse_address(sys.argv[2]))
    print("ready", flush=True)
    while True:
        await move_rollups(connection, store, datetime.now(UTC), 40, most_rows=25, grace=timedelta(seconds=20))
        await asyncio.sleep(0.02)

asyncio.run(run())
"""


class Shop:
    """One organization with keys and operations, and requests of the last 120 days."""

    def __init__(self, database, seed: int) -> None:
        self.database, self.dice, self.now = database, random.Random(seed), datetime.now(UTC)
        self.access = Access(uuid4(), "o", "O", "active", 1, "owner")
        self.keys = [uuid4() for _ in range(4)]
        services = [uuid4(), uuid4()]
        self.operations = [(service, operation) for service in services for operation in (uuid4(), None)]

    async def fill(self, count: int, *, folded: bool = True, oldest: int = 0, organization: UUID | None = None) -> None:
        dice, calls = self.dice, []
        for _ in range(count):
            service, operation = dice.choice(self.operations)
            status, outcome = dice.choice(
                [(200, "served"), (404, "served"), (429, "refused"), (502, "failed"), (200, "cut")]
            )
            at = self.now - timedelta(days=oldest) - timedelta(days=dice.random() * (120 - oldest))
            calls.append(
                call(
                    organization or self.access.organization_id, at, dice.choice(self.keys), service, operation,
                    status=status, outcome=outcome, bytes_out=dice.randrange(5_000),
                    total_us=dice.randrange(10, 5_000_000), cost_micro=dice.choice((0, 100_000)) if status < 400 else 0,
                )
            )  # fmt: skip
        await stored(self.database, calls, folded=folded)

    async def figures(self, logs) -> list[object]:
        """All that any page, report or export shows out of rollups by key."""
        operation = self.operations[0]
        filters = [Filter(), Filter(self.keys[0]), Filter(self.keys[1], operation[0]), Filter(self.keys[2], *operation)]
        found: list[object] = []
        for zone in ZONES:
            for range_ in RANGES.values():
                window = window_of(range_, self.now, zone)
                for wanted in filters:
                    found.append(await read_series(self.database, self.access, window, wanted, logs))
                    found.append(await read_breakdown(self.database, self.access, window, wanted, logs))
        for days in (7, 60, 90):
            statistics = await read_statistics(self.database, self.access, days, logs, now=self.now)
            found.append((statistics.days, statistics.services, statistics.operations, _sorted(statistics.keys)))
        ids, until = [self.access.organization_id, uuid4()], self.now - timedelta(days=1)
        for ago in (10, 60, 110):
            since = self.now - timedelta(days=ago)
            found.append(_sorted(await read_rollups(self.database, ids, since, until, self.now, logs)))
            for by_key in (False, True):
                used = await used_between(self.database, ids[0], since, until, self.now, logs, by_key=by_key)
                found.append(_sorted(used))
        return found


def _sorted(records) -> list[str]:
    return sorted(map(repr, records))


async def _all_moved(database, store) -> int:
    moved = await move_rollups(database, store, datetime.now(UTC), DAYS, most_rows=100, grace=AT_ONCE)
    # The shipments that this finds later are kept, for the test to bring them back.
    assert await database.fetchval(OLD) == 0
    return moved


@pytest.fixture
def kept(monkeypatch) -> None:
    """PostgreSQL keeps what it sent for as long as the test lasts."""
    monkeypatch.setattr(rollup_moving, "_OVER", "select $1::interval")


@pytest.mark.parametrize("seed", range(2))
async def test_every_reader_finds_the_same_with_rollups_in_clickhouse_on_the_way_and_late(
    database, turned_on, kept, seed
):
    shop, logs = Shop(database, seed), ClickHouseLogs(turned_on)
    await shop.fill(500)
    await shop.fill(60, organization=uuid4())
    await shop.fill(30, folded=False)
    before = await shop.figures(POSTGRES)
    assert await shop.figures(logs) == before
    old = await database.fetchval(OLD)
    assert await _all_moved(database, turned_on) == old > 300
    assert await shop.figures(logs) == before
    assert await shop.figures(POSTGRES) != before
    # Of a node that was away: they are added to buckets that have left already. Some of them are on the way again.
    await shop.fill(80, oldest=DAYS + 1)
    number = await take(database, AT_ONCE, 25)
    late = await shop.figures(logs)
    assert late != before
    assert 0 < await send(database, turned_on, number) <= 25
    assert await shop.figures(logs) == late
    await _all_moved(database, turned_on)
    assert await shop.figures(logs) == late
    for shipment in await database.fetch("select number from rollup_shipment order by 1"):
        await database.execute(BACK, shipment["number"])
    assert await shop.figures(POSTGRES) == late


async def test_nothing_moves_before_readers_were_told_and_nothing_goes_before_they_are_done(database, turned_on):
    await Shop(database, 1).fill(100)
    old = await database.fetchval(OLD)
    assert await move_rollups(database, turned_on, datetime.now(UTC), DAYS) == 0
    assert await move_rollups(database, turned_on, datetime.now(UTC), DAYS) == 0
    assert await database.fetchval(OLD) == old > 0
    await database.execute("update rollup_mark set announced_at = now() - interval '2 hours'")
    assert await move_rollups(database, turned_on, datetime.now(UTC), DAYS) == old
    assert await move_rollups(database, turned_on, datetime.now(UTC), DAYS) == 0
    assert await database.fetchval("select count(*) from usage_rollup_moved") == old
    await database.execute("update rollup_shipment set sent_at = now() - interval '2 hours'")
    assert await move_rollups(database, turned_on, datetime.now(UTC), DAYS) == 0
    assert await database.fetchval("select count(*) from usage_rollup_moved") == 0


async def test_what_arrived_and_was_not_noted_counts_once_and_what_was_lost_is_sent_whole(database, turned_on, kept):
    shop, logs = Shop(database, 2), ClickHouseLogs(turned_on)
    await shop.fill(200)
    before = await shop.figures(POSTGRES)
    await move_rollups(database, turned_on, datetime.now(UTC), DAYS, most=0)
    number = await take(database, AT_ONCE, 50)
    rows = await send(database, turned_on, number)
    assert 0 < rows <= 50
    # Killed before the note: sent again, it is known.
    for _ in range(2):
        await database.execute("update rollup_mark set sent = 0")
        await database.execute("update rollup_shipment set sent_at = null")
        assert await take(database, AT_ONCE, 50) == number
        assert await send(database, turned_on, number) == rows
    assert (await turned_on.rows(THERE))[0][:2] == [rows, 1]
    # Somebody took it out there before the note: its token is known, so only another one brings it.
    await database.execute("update rollup_mark set sent = 0")
    await database.execute("update rollup_shipment set sent_at = null")
    await turned_on.execute("alter table usage_rollup delete where true settings mutations_sync = 2")
    with pytest.raises(RollupsDifferError):
        await send(database, turned_on, number)
    assert await shop.figures(logs) == before
    assert await send(database, turned_on, number) == rows
    assert await shop.figures(logs) == before


async def test_shipments_that_a_restored_database_does_not_know_are_forgotten(database, turned_on, kept):
    shop, logs = Shop(database, 3), ClickHouseLogs(turned_on)
    await shop.fill(300)
    before = await shop.figures(POSTGRES)
    await _all_moved(database, turned_on)
    sent = await database.fetchval("select sent from rollup_mark")
    assert sent > 3
    # A backup of when two had been sent.
    for shipment in await database.fetch("select number from rollup_shipment where number > 2 order by 1"):
        await database.execute(BACK, shipment["number"])
    await database.execute("delete from rollup_shipment where number > 2")
    await database.execute("update rollup_mark set sent = 2")
    assert await shop.figures(logs) == before
    number = await take(database, AT_ONCE, 7)
    assert number == 3
    assert 0 < await send(database, turned_on, number) <= 7
    assert await shop.figures(logs) == before
    await _all_moved(database, turned_on)
    assert await shop.figures(logs) == before


async def test_movers_killed_two_at_once_and_figures_stand_still_meanwhile(
    database, turned_on, fresh_database_url, log_store_url
):
    shop, logs = Shop(database, 4), ClickHouseLogs(turned_on)
    await shop.fill(700)
    window, wanted = window_of(RANGES["90d"], shop.now, "UTC"), Filter(shop.keys[0])
    before = await shop.figures(POSTGRES)
    steady = await read_series(database, shop.access, window, wanted, POSTGRES)
    sums = await database.fetchrow(OLD.replace("count(*)", "count(*), sum(requests)::bigint, sum(cost_micro)::bigint"))
    await move_rollups(database, turned_on, datetime.now(UTC), DAYS, most=0)
    await database.execute("update rollup_mark set announced_at = now() - interval '2 hours'")
    arguments = [sys.executable, "-c", MOVE, fresh_database_url, log_store_url]

    def started() -> subprocess.Popen:
        return subprocess.Popen(
            arguments, cwd=ROOT_FOLDER, env=dict(os.environ), stdout=subprocess.PIPE, stderr=subprocess.DEVNULL
        )

    movers, kills, looks = [started(), started()], 0, 0
    try:
        async with asyncio.timeout(90):
            while await database.fetchval(OLD) or await database.fetchval(
                "select exists (select from rollup_shipment where sent_at is null)"
            ):
                if kills < 4 and await asyncio.to_thread(movers[0].stdout.readline):
                    for _ in range(shop.dice.randrange(1, 6)):
                        assert await read_series(database, shop.access, window, wanted, logs) == steady
                        looks += 1
                    movers[0].send_signal(signal.SIGKILL)
                    movers[0].wait()
                    movers[0].stdout.close()
                    kills += 1
                    movers = [movers[1], started()]
                assert await read_series(database, shop.access, window, wanted, logs) == steady
                looks += 1
    finally:
        for mover in movers:
            mover.send_signal(signal.SIGKILL)
            mover.wait()
            mover.stdout.close()
    assert kills
    assert looks > 3
    assert await shop.figures(logs) == before
    rows, shipments, requests, cost = (await turned_on.rows(THERE))[0]
    assert (rows, requests, cost) == tuple(sums)
    assert shipments == await database.fetchval("select sent from rollup_mark")


async def test_no_way_back_to_a_version_that_does_not_find_what_has_moved(database):
    migration = import_module("migrations.paid_endpoint_2026_11_27t09_40_00_000000")
    for sent in (0, 1):
        whole = database.transaction()
        await whole.start()
        await database.execute(
            "insert into rollup_mark (sent) values ($1) on conflict (one) do update set sent = $1", sent
        )
        with nullcontext() if sent == 0 else pytest.raises(asyncpg.RestrictViolationError, match="in the log store"):
            await database.execute(migration.BACKWARDS)
        await whole.rollback()


async def test_months_of_hours_leave_clickhouse_when_nobody_counts_them_any_more(database, turned_on):
    await Shop(database, 5).fill(200)
    await _all_moved(database, turned_on)
    await move_rollups(database, turned_on, datetime.now(UTC), DAYS, grace=AT_ONCE)
    days = await turned_on.rows("select count() from usage_rollup where grain = 'day'")
    hours = await turned_on.rows("select count() from usage_rollup where grain = 'hour'")
    assert await expire_hours(turned_on, datetime.now(UTC) - timedelta(days=60)) == []
    assert await turned_on.rows("select count() from usage_rollup where grain = 'hour'") == hours
    assert len(await expire_hours(turned_on, datetime.now(UTC) + timedelta(days=400))) >= 3
    assert await turned_on.rows("select count() from usage_rollup where grain = 'hour'") == [[0]]
    assert await turned_on.rows("select count() from usage_rollup where grain = 'day'") == days


async def test_what_clickhouse_lost_before_postgres_let_its_copy_go_is_sent_again(database, turned_on):
    """A power cut there takes what was not on its disk yet."""
    shop = Shop(database, 9)
    await shop.fill(200)
    before = await shop.figures(POSTGRES)
    assert await _all_moved(database, turned_on) > 0
    await turned_on.execute("truncate table usage_rollup")
    await move_rollups(database, turned_on, datetime.now(UTC), DAYS, grace=AT_ONCE)
    assert await database.fetchval("select count(*) from usage_rollup_moved") == 0
    assert await shop.figures(ClickHouseLogs(turned_on)) == before
