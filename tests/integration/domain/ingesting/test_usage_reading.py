"""What readers of usage see, whether the rollups hold it yet or not."""

from datetime import UTC, datetime, timedelta
from uuid import UUID, uuid4

import asyncpg
import pytest

from domain import quota_breakdown, services, usage_reading
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


async def catalog(database) -> tuple[UUID, dict[str, UUID]]:
    """A service and its operations by name: `cheap` takes 1 and costs 10, `dear` takes 4 and costs 100, `free` nothing."""
    async with database.transaction():
        made = await services.create(
            database, slug=f"s-{uuid4().hex[:8]}", prefix=f"/s-{uuid4().hex[:8]}", upstreams=["http://127.0.0.1:1"]
        )
        ids = {}
        for name, units, micro in (("cheap", 1, 10), ("dear", 4, 100), ("free", 0, 0)):
            ids[name] = await database.fetchval(
                "insert into operation (service_id, name, method, path_pattern, quota_cost, price_micro)"
                " values ($1, $2, 'GET', $3, $4, $5) returning id",
                made.id, name, f"/{name}", units, micro,
            )  # fmt: skip
    return made.id, ids


@pytest.mark.parametrize("folded", [True, False])
async def test_units_are_those_of_each_operation_on_that_plan_and_paid_requests_took_none(
    database, pool, writer_in, ingest, monkeypatch, folded
):
    if not folded:
        monkeypatch.setattr(session, "FOLD_SECONDS", 3_600)
        monkeypatch.setattr(session, "LONGEST_FOLD_SECONDS", 3_600)
    writer, ingester = await writer_in(), await ingest()
    if not folded:
        writer.end(record(dimensions=dimensions(uuid4())))
        await until(lambda: ingester.status().folds == 1)
    service, operations = await catalog(database)
    organization, key, now = uuid4(), uuid4(), datetime.now(UTC)

    def request(name: str | None, cost: int = 0, **changes):
        who = dimensions(organization, key, service, operations[name] if name else None)
        return record(dimensions=who, cost_micro=cost, **({"at_us": at(now)} | changes))

    later = at(now + timedelta(seconds=2))
    writer.end(
        *[request("cheap") for _ in range(3)],
        *[request("dear") for _ in range(2)],
        *[request("free") for _ in range(5)],
        request(None),
        request("dear", outcome="failed", status=502),
        request("dear", outcome="refused", status=429, refusal=b"quota_exceeded"),
        # Beyond the quota: paid for with credits.
        *[request("dear", 100) for _ in range(4)],
        *[request("cheap", 10, at_us=later) for _ in range(2)],
        request("dear", at_us=later),
    )
    await until(lambda: ingester.status().stored == 20 + (not folded))
    if folded:
        await counted(database, 20)
    asked = Question(organization, None, None, None, now - timedelta(seconds=1), unit="quota")
    own = {operations["dear"]: 10}
    assert await used(pool, asked) == 3 + 2 * 4 + 1 + 4 + 4
    assert await used(pool, asked._replace(quota_costs=own)) == 3 + 2 * 10 + 1 + 10 + 10
    assert await used(pool, asked._replace(operation_id=operations["dear"])) == 16
    assert await used(pool, asked._replace(operation_id=operations["free"])) == 0
    moment = now + timedelta(seconds=1)
    assert await used(pool, asked._replace(until=moment)) == 3 + 2 * 4 + 1 + 4
    assert await used(pool, asked._replace(unit="credits")) == 420
    assert await used(pool, asked._replace(unit="credits", until=moment)) == 400
    assert await used(pool, asked._replace(unit="credits", key_id=uuid4())) == 0
    assert await used(pool, asked._replace(unit="requests")) == 19
    assert await used(pool, asked._replace(unit="requests", until=moment)) == 16


async def test_where_paid_and_unpaid_share_a_rollup_their_numbers_hang_on_the_present_price(
    database, pool, writer_in, ingest
):
    writer = await writer_in()
    await ingest()
    service, operations = await catalog(database)
    organization, now = uuid4(), datetime.now(UTC)
    who = dimensions(organization, None, service, operations["dear"])
    writer.end(*[record(dimensions=who, at_us=at(now), cost_micro=cost) for cost in (0, 0, 0, 100, 100)])
    await counted(database, 5)
    asked = Question(organization, None, None, None, now - timedelta(seconds=1), unit="quota")
    assert await used(pool, asked) == 3 * 4
    assert await used(pool, asked._replace(prices={operations["dear"]: 200})) == 4 * 4
    assert await used(pool, asked._replace(prices={operations["dear"]: 10})) == 0
    assert await used(pool, asked._replace(prices={operations["dear"]: 0})) == 5 * 4


async def test_usage_that_cannot_be_read_is_none():
    async with asyncpg.create_pool("postgresql://nobody@127.0.0.1:1/none", min_size=0, max_size=1) as away:
        assert await used(away, Question(uuid4(), None, None, None, datetime.now(UTC))) is None


_EAGER = """
set plan_cache_mode = force_generic_plan; set parallel_setup_cost = 0; set parallel_tuple_cost = 0;
set min_parallel_table_scan_size = 0; set min_parallel_index_scan_size = 0
"""


@pytest.mark.parametrize("name", ["_TODAY", "_REQUESTS", "_CREDITS", "_UNITS", "_NAMED"])
async def test_no_reading_waits_for_parallel_workers(pool, name):
    """To start them takes a hundred times as long as what is read."""
    statement = getattr(quota_breakdown if name == "_NAMED" else usage_reading, name)
    async with pool.acquire() as connection:
        await connection.execute(_EAGER)
        for text, wanted in ((statement, False), (statement.replace(usage_reading.SERIAL, ""), True)):
            given = ", ".join(["null"] * len((await connection.prepare(text)).get_parameters()))
            await connection.execute(f"prepare reading as {text}")
            plan = await connection.fetch(f"explain execute reading({given})")
            await connection.execute("deallocate reading")
            assert any("Gather" in row[0] for row in plan) is wanted
