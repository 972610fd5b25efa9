"""What readers of usage see, whether the rollups hold it yet or not."""

from datetime import UTC, datetime, timedelta
from uuid import uuid4

import asyncpg
import pytest

from domain.ingesting import session
from domain.quotas.refill import Question
from domain.usage_reading import requests_today, used
from tests.deadlines import until
from tests.integration.domain.ingesting.conftest import counted
from tests.journals import dimensions, record


def at(moment: datetime) -> int:
    return int(moment.timestamp() * 1e6)


@pytest.fixture
async def pool(fresh_database_url):
    async with asyncpg.create_pool(fresh_database_url, min_size=0, max_size=2) as made:
        yield made


@pytest.mark.parametrize("folded", [True, False])
async def test_admitted_requests_count_and_our_refusals_do_not(database, pool, writer_in, ingest, monkeypatch, folded):
    if not folded:
        monkeypatch.setattr(session, "FOLD_SECONDS", 3_600)
        monkeypatch.setattr(session, "LONGEST_FOLD_SECONDS", 3_600)
    writer, ingester = await writer_in(), await ingest()
    organization, key, service = uuid4(), uuid4(), uuid4()
    now = datetime.now(UTC)
    if not folded:
        writer.end(record(dimensions=dimensions(uuid4())))
        await until(lambda: ingester.status().folds == 1)
    who = dimensions(organization, key, service)
    writer.end(
        *[record(dimensions=who, at_us=at(now)) for _ in range(5)],
        record(dimensions=who, at_us=at(now), status=429, outcome="refused", refusal=b"rate_limited"),
        record(dimensions=who, at_us=at(now), status=429),
        record(dimensions=who, at_us=at(now), status=502, outcome="failed"),
        record(dimensions=dimensions(organization, uuid4()), at_us=at(now)),
        record(dimensions=dimensions(uuid4(), key), at_us=at(now)),
    )
    await until(lambda: ingester.status().stored == 10 + (not folded))
    if folded:
        await counted(database, 10)
    since = now - timedelta(seconds=1)
    assert await used(pool, Question(organization, None, None, None, since)) == 8
    assert await used(pool, Question(organization, key, None, None, since)) == 7
    assert await used(pool, Question(organization, key, service, None, since)) == 7
    assert await used(pool, Question(organization, None, None, uuid4(), since)) == 0
    assert await requests_today(pool, organization, now.date()) == 9
    assert bool(await database.fetchval("select count(*) from usage_unfolded")) is not folded


async def test_since_is_exact_to_the_minute_then_the_hour_then_the_day_and_never_too_late(
    database, pool, writer_in, ingest
):
    writer = await writer_in()
    await ingest()
    organization, now = uuid4(), datetime.now(UTC)
    ages = [timedelta(minutes=3), timedelta(hours=5), timedelta(hours=30), timedelta(days=20), timedelta(days=100)]
    days = [now - age for age in ages]
    writer.end(*[record(dimensions=dimensions(organization), at_us=at(day)) for day in days])
    await counted(database, 5)
    for place, day in enumerate(days):
        assert await used(pool, Question(organization, None, None, None, day)) == place + 1
    minute_after = days[1].replace(second=0) + timedelta(minutes=1)
    assert await used(pool, Question(organization, None, None, None, minute_after)) == 1
    hour_after = days[3].replace(minute=0) + timedelta(hours=1)
    assert await used(pool, Question(organization, None, None, None, hour_after)) == 3


async def test_usage_that_cannot_be_read_is_none():
    async with asyncpg.create_pool("postgresql://nobody@127.0.0.1:1/none", min_size=0, max_size=1) as away:
        assert await used(away, Question(uuid4(), None, None, None, datetime.now(UTC))) is None
