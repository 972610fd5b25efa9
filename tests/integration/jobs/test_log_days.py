"""Days of request logs: summed up to the row, dropped whole when nobody needs them, and never in anybody's way."""

import asyncio
import random
import time
from collections import defaultdict
from datetime import UTC, date, datetime, timedelta
from uuid import UUID, uuid4

import asyncpg
import pytest

from domain import log_dropping, organizations, plans
from domain.histogram import bucket_of
from domain.limit_texts import parse_limits
from domain.partitions import ensure_partitions, present_days
from domain.snapshots import NO_ID
from jobs import log_partitions, log_summaries
from jobs.work import Work
from tests.request_rows import DEFAULTS, id_at

NOON = datetime(2026, 6, 10, 12, tzinfo=UTC)
DAY = timedelta(days=1)
LOGS = [name for name in DEFAULTS if name != "decision"]


async def organization(pool, **plan) -> UUID:
    slug = f"t{uuid4().hex[:12]}"
    async with pool.acquire() as connection:
        await plans.create(connection, slug=slug, limits=parse_limits(["1000/hour"]))
        made = await organizations.create(connection, name=slug, plan_slug=slug)
    if plan:
        await pool.execute("update plan set log_days = $2 where slug = $1", slug, plan["log_days"])
    return made.id


async def write(pool, organization_id, at: datetime, **columns) -> None:
    values = {**DEFAULTS, **columns, "id": id_at(at), "at": at, "organization_id": organization_id}
    places = ", ".join(f"${number}" for number in range(1, len(values) + 1))
    await pool.execute(f"insert into request_log ({', '.join(values)}) values ({places})", *values.values())


async def write_days(pool, days: int, *, rows: int = 150, seed: int = 1) -> list[UUID]:
    """Rows of all kinds on so many days before NOON's."""
    dice, ids = random.Random(seed), [uuid4() for _ in range(4)]
    first = NOON.date() - days * DAY
    async with pool.acquire() as connection:
        await ensure_partitions(connection, first, NOON.date())
    for number in range(rows * days):
        midnight = datetime.combine(first + (number % days) * DAY, datetime.min.time(), UTC)
        outcome, status = dice.choice(
            [("served", 200), ("served", 404), ("refused", 429), ("failed", 502), ("cut", 200), ("gone", 499), ("served", 101)]
        )  # fmt: skip
        await write(
            pool,
            dice.choice([*ids[:2], None]),
            midnight + timedelta(microseconds=dice.randrange(86_400_000_000)),
            key_id=dice.choice([*ids, None]),
            service_id=dice.choice([ids[0], None]),
            operation_id=dice.choice([ids[1], None]),
            outcome=outcome,
            status=status,
            total_us=int(10 ** dice.uniform(1, 8.2)),
            upstream_us=dice.choice([None, 500]),
            bytes_out=dice.randrange(10_000),
            cost_micro=dice.choice([0, 250]),
        )
    return ids


async def expected_of(pool, day: date) -> dict:
    """The summaries of a day, added up row by row in Python."""
    sums: dict = defaultdict(lambda: {"classes": [0] * 6, "latency": defaultdict(int), "max": 0, "n": defaultdict(int)})
    begin = datetime.combine(day, datetime.min.time(), UTC)
    for row in await pool.fetch("select * from request_log where at >= $1 and at < $2", begin, begin + DAY):
        key = tuple(row[name] or NO_ID for name in ("organization_id", "key_id", "service_id", "operation_id"))
        one = sums[key]
        one["n"]["requests"] += 1
        one["n"]["errors"] += row["status"] >= 400 or row["outcome"] in ("failed", "cut")
        one["n"]["refused"] += row["outcome"] == "refused"
        for name in ("bytes_in", "bytes_out", "cost_micro"):
            one["n"][name] += row[name]
        one["n"]["upstream_us_sum"] += row["upstream_us"] or 0
        one["n"]["total_us_sum"] += row["total_us"]
        one["max"] = max(one["max"], row["total_us"])
        one["classes"][row["status"] // 100] += 1
        one["latency"][bucket_of(row["total_us"])] += 1
    return {
        key: {
            **one["n"],
            "status_classes": one["classes"],
            "total_us_max": one["max"],
            "latency": [one["latency"].get(index, 0) for index in range(max(one["latency"]) + 1)],
        }
        for key, one in sums.items()
    }


async def summaries_of(pool, day: date, edition: int = 0) -> dict:
    names = ("requests", "errors", "refused", "bytes_in", "bytes_out", "cost_micro", "upstream_us_sum", "total_us_sum",
             "status_classes", "total_us_max", "latency")  # fmt: skip
    rows = await pool.fetch("select * from log_summary where day = $1 and edition = $2", day, edition)
    return {
        (row["organization_id"], row["key_id"], row["service_id"], row["operation_id"]): {n: row[n] for n in names}
        for row in rows
    }


async def everything(pool) -> list:
    return [tuple(row) for row in await pool.fetch("select * from log_summary order by 1, 2, 3, 4, 5, 6")] + [
        tuple(row)
        for row in await pool.fetch("select day, edition, rows, dropped_at is null from log_day order by day")
    ]


def work(pool, settings, now: datetime = NOON, **arguments) -> Work:
    return Work(pool, None, settings, clock=lambda: now, arguments=arguments)


async def test_summaries_equal_the_logs_to_the_row_and_a_second_run_changes_nothing(own_pool, settings):
    await write_days(own_pool, 3)
    done = await log_summaries.run(work(own_pool, settings))
    assert (done["days"] >= 3, done["rows"]) == (True, 450)
    for offset in (1, 2, 3):
        day = NOON.date() - offset * DAY
        assert await summaries_of(own_pool, day) == await expected_of(own_pool, day)
    before = await everything(own_pool)
    again = await log_summaries.run(work(own_pool, settings))
    assert (again["rows"], again["summaries_written"]) == (450, 0)
    one = await log_summaries.run(work(own_pool, settings, day=str(NOON.date() - DAY)))
    assert (one["days"], one["rows"], one["summaries_written"]) == (1, 150, 0)
    assert await everything(own_pool) == before


async def test_a_day_that_is_not_over_is_summed_up_only_when_it_is_asked_for(own_pool, settings):
    await write_days(own_pool, 1, rows=3)
    await write(own_pool, uuid4(), NOON)
    await log_summaries.run(work(own_pool, settings))
    assert await summaries_of(own_pool, NOON.date()) == {}
    await log_summaries.run(work(own_pool, settings, day=str(NOON.date())))
    await write(own_pool, uuid4(), NOON)
    await log_summaries.run(work(own_pool, settings, now=NOON + DAY))
    assert await summaries_of(own_pool, NOON.date()) == await expected_of(own_pool, NOON.date())


async def test_a_row_that_comes_late_is_added(own_pool, settings):
    await write_days(own_pool, 1)
    await log_summaries.run(work(own_pool, settings))
    day = NOON.date() - DAY
    await write(own_pool, uuid4(), NOON - DAY)
    done = await log_summaries.run(work(own_pool, settings))
    assert done["summaries_written"] == 1
    assert await summaries_of(own_pool, day) == await expected_of(own_pool, day)


async def test_partitions_are_made_ahead_and_dropped_after_the_retention(own_pool, settings):
    await write_days(own_pool, 6, rows=5)
    expected = {NOON.date() - n * DAY: await expected_of(own_pool, NOON.date() - n * DAY) for n in range(1, 7)}
    done = await log_partitions.run(work(own_pool, settings))
    assert done["dropped"] == [str(NOON.date() - n * DAY) for n in (6, 5, 4)]
    kept = await present_days(own_pool)
    assert kept[0] == NOON.date() - 3 * DAY
    assert set(kept) >= {NOON.date() + n * DAY for n in range(-1, 8)}
    for n in (4, 5, 6):
        day = NOON.date() - n * DAY
        assert await summaries_of(own_pool, day) == expected[day]
    assert await own_pool.fetchval("select to_regclass('request_log_20260604')") is None
    before = await everything(own_pool)
    assert (await log_partitions.run(work(own_pool, settings)))["dropped"] == []
    assert await everything(own_pool) == before


async def test_days_can_be_played(own_pool, settings):
    for offset in range(6):
        now = NOON + offset * DAY
        await log_partitions.run(work(own_pool, settings, now=now))
        await write(own_pool, uuid4(), now)
    days = [day for day in await present_days(own_pool) if day <= NOON.date() + 5 * DAY]
    assert days == [NOON.date() + n * DAY for n in range(2, 6)]
    assert await own_pool.fetchval("select count(*) from log_summary") == 2


async def test_a_plan_keeps_the_days_in_which_its_organizations_have_rows(own_pool, settings):
    await write_days(own_pool, 6, rows=2)
    dear = await organization(own_pool, log_days=5)
    await write(own_pool, dear, NOON - 5 * DAY)
    await write(own_pool, dear, NOON - 6 * DAY)
    done = await log_partitions.run(work(own_pool, settings))
    assert done["dropped"] == [str(NOON.date() - n * DAY) for n in (6, 4)]
    (kept,) = done["kept"].items()
    assert kept[0] == str(NOON.date() - 5 * DAY)
    assert kept[1].startswith("plan ")
    done = await log_partitions.run(work(own_pool, settings, now=NOON + DAY))
    assert str(NOON.date() - 5 * DAY) in done["dropped"]


async def test_nothing_is_dropped_that_the_rollups_lack(own_pool, settings):
    await write_days(own_pool, 5, rows=2)
    at = NOON - 5 * DAY
    await own_pool.execute("insert into usage_unfolded (owner, stored_at, first_at) values ($1, $2, $2)", uuid4(), at)
    await write(own_pool, uuid4(), at, created_at=at)
    done = await log_partitions.run(work(own_pool, settings))
    assert done["kept"] == {str(at.date()): "the rollups do not hold all of it yet"}
    await own_pool.execute("delete from usage_unfolded")
    done = await log_partitions.run(work(own_pool, settings))
    assert (done["kept"], done["dropped"]) == ({}, [str(at.date())])


async def test_rows_that_come_after_their_day_was_dropped_are_counted_beside_it(own_pool, settings):
    await write_days(own_pool, 5)
    day = NOON.date() - 5 * DAY
    whole = await expected_of(own_pool, day)
    await log_partitions.run(work(own_pool, settings))
    async with own_pool.acquire() as connection:
        await ensure_partitions(connection, day, day)
    await write(own_pool, uuid4(), NOON - 5 * DAY)
    late = await expected_of(own_pool, day)
    await log_summaries.run(work(own_pool, settings))
    assert (await summaries_of(own_pool, day), await summaries_of(own_pool, day, 1)) == (whole, late)
    await log_partitions.run(work(own_pool, settings))
    assert (await summaries_of(own_pool, day), await summaries_of(own_pool, day, 1)) == (whole, late)
    assert await own_pool.fetchval("select sum(requests) from log_summary where day = $1", day) == 151
    assert day not in await present_days(own_pool)


async def test_a_long_reader_keeps_the_day_and_writers_are_held_up_for_no_longer_than_the_wait(
    own_pool, settings, monkeypatch
):
    monkeypatch.setattr(log_dropping, "PAUSE_SECONDS", 0.2)
    await write_days(own_pool, 5, rows=20)
    day = NOON.date() - 5 * DAY
    longest, stop = 0.0, asyncio.Event()

    async def writer():
        nonlocal longest
        async with asyncpg.create_pool(settings.database.url.get_secret_value(), min_size=1, max_size=1) as pool:
            while not stop.is_set():
                begun = time.monotonic()
                await write(pool, uuid4(), NOON)
                longest = max(longest, time.monotonic() - begun)

    writing = asyncio.create_task(writer())
    async with own_pool.acquire() as reader, reader.transaction():
        await reader.fetchval("select count(*) from request_log")
        done = await log_partitions.run(work(own_pool, settings))
        assert done["kept"][str(day)] == "it is in use"
    assert (await log_partitions.run(work(own_pool, settings)))["dropped"] != []
    stop.set()
    await writing
    assert longest < log_dropping.LOCK_WAIT_MS / 1_000 + 0.5
    assert day not in await present_days(own_pool)


async def test_two_at_once_drop_each_day_once(own_pool, settings):
    await write_days(own_pool, 8, rows=20)
    expected = await expected_of(own_pool, NOON.date() - 8 * DAY)
    done = await asyncio.gather(
        *(log_partitions.run(work(own_pool, settings)) for _ in range(3)), return_exceptions=True
    )
    dropped = [day for one in done if not isinstance(one, BaseException) for day in one["dropped"]]
    assert len(dropped) == len(set(dropped))
    await log_partitions.run(work(own_pool, settings))
    assert (await present_days(own_pool))[0] == NOON.date() - 3 * DAY
    assert await own_pool.fetchval("select max(edition) from log_day") == 1
    assert await summaries_of(own_pool, NOON.date() - 8 * DAY) == expected


@pytest.mark.parametrize("log_days", [0, 3_651])
async def test_a_plan_keeps_logs_for_a_sane_number_of_days(own_pool, log_days):
    with pytest.raises(asyncpg.CheckViolationError):
        await organization(own_pool, log_days=log_days)
