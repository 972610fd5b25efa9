import asyncio
import contextlib
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from uuid import uuid4

import asyncpg
import pytest

from domain import organizations, plans
from domain.limit_texts import LimitSpec
from domain.log_reading import LogFilter, follow, list_entries
from tests.deadlines import until
from tests.snapshots import log_row, store


@pytest.fixture
async def own_pool(fresh_database_url) -> AsyncIterator[asyncpg.Pool]:
    async with asyncpg.create_pool(fresh_database_url, min_size=1, max_size=2) as made:
        yield made


@contextlib.asynccontextmanager
async def following(pool, wanted):
    """What `follow` has yielded so far, as a list that grows."""
    entries = []

    async def read():
        async for entry in follow(pool, wanted):
            entries.append(entry)

    task = asyncio.create_task(read())
    try:
        yield entries
    finally:
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task


async def test_lists_the_newest_first_with_names_and_by_every_filter(database):
    await plans.create(database, slug="free", limits=[LimitSpec("hour", 5, "hour")])
    acme = await organizations.create(database, name="Acme", plan_slug="free", slug="acme")
    now = datetime.now(UTC)
    mine = log_row(organization_id=acme.id, at=now, status=429, outcome="refused", refusal="rate_limited")
    key_id, service_id = uuid4(), uuid4()
    other = log_row(at=now - timedelta(minutes=10), key_id=key_id, service_id=service_id, status=503)
    await store(database, [other, mine])
    found = await list_entries(database, LogFilter(), 10)
    assert [(entry.id, entry.organization) for entry in found] == [(mine.id, "acme"), (other.id, None)]
    assert found[0].client == "127.0.0.1"
    for wanted, expected in (
        (LogFilter(organization_id=acme.id), [mine.id]),
        (LogFilter(key_id=key_id), [other.id]),
        (LogFilter(service_id=service_id), [other.id]),
        (LogFilter(request_id=other.id), [other.id]),
        (LogFilter(lowest_status=400, highest_status=499), [mine.id]),
        (LogFilter(since=now - timedelta(minutes=5)), [mine.id]),
        (LogFilter(request_id=uuid4()), []),
    ):
        assert [entry.id for entry in await list_entries(database, wanted, 10)] == expected
    assert len(await list_entries(database, LogFilter(), 1)) == 1


async def test_follows_late_rows_too_and_shows_each_once(database, own_pool):
    begun = datetime.now(UTC)
    await store(database, [log_row(at=begun - timedelta(minutes=1))])
    async with following(own_pool, LogFilter(since=begun - timedelta(seconds=1))) as entries:
        first = [log_row(at=begun + timedelta(milliseconds=number)) for number in (5_000, 6_000)]
        await store(database, first)
        await until(lambda: len(entries) == 2, seconds=5)
        late = [log_row(at=begun + timedelta(milliseconds=number)) for number in (0, 5_500, 6_000)]
        await store(database, late)
        await until(lambda: len(entries) == 5, seconds=5)
        last = log_row(at=begun + timedelta(seconds=7))
        await store(database, [last])
        await until(lambda: len(entries) == 6, seconds=5)
    assert [entry.id for entry in entries] == [
        *(row.id for row in first),
        *(row.id for row in sorted(late, key=lambda row: (row.at, row.id.int))),
        last.id,
    ]


async def test_follows_only_what_is_wanted(database, own_pool):
    who = uuid4()
    async with following(own_pool, LogFilter(organization_id=who, since=datetime.now(UTC))) as entries:
        wanted = log_row(organization_id=who)
        await store(database, [log_row(), wanted, log_row(organization_id=uuid4())])
        await until(lambda: entries, seconds=5)
    assert [entry.id for entry in entries] == [wanted.id]


async def test_follows_thousands_of_rows_of_one_moment(database, own_pool):
    begun = datetime.now(UTC)
    async with following(own_pool, LogFilter(since=begun)) as entries:
        rows = [log_row(at=begun) for _ in range(2_500)]
        await store(database, rows)
        await until(lambda: len(entries) == 2_500, seconds=20)
    assert {entry.id for entry in entries} == {row.id for row in rows}


async def test_goes_on_after_its_connection_was_lost(database, own_pool, caplog):
    begun = datetime.now(UTC)
    async with following(own_pool, LogFilter(since=begun)) as entries:
        await store(database, [log_row()])
        await until(lambda: len(entries) == 1, seconds=20)
        await database.execute(
            "select pg_terminate_backend(pid) from pg_stat_activity"
            " where datname = current_database() and pid <> pg_backend_pid()"
        )
        await store(database, [log_row()])
        await until(lambda: len(entries) == 2, seconds=20)
