"""Without logs: which days are kept, and that summaries for ever stay right when a left-out day gets rows again."""

from datetime import UTC, datetime, timedelta
from uuid import UUID

import pytest

from domain.log_summaries import summarise
from domain.partitions import ensure_partitions, partition_name, present_days
from tests.backups import command, ordinary_database
from tests.gateways import connected

WHO = UUID(int=7)
ROW = """
insert into request_log (id, at, organization_id, method, path, status, outcome, total_us, bytes_in, bytes_out, created_at)
values (gen_random_uuid(), $1, $2, 'GET', '/x', 200, 'served', 1000, 0, 0, $3)
"""
SUM = "select coalesce(sum(requests), 0) from log_summary where day = $1"


def noon(days_ago):
    return datetime.now(UTC).replace(hour=12, minute=0, second=0, microsecond=0) - timedelta(days=days_ago)


async def logged(connection, days_ago, rows, stored_at=None):
    day = noon(days_ago).date()
    await ensure_partitions(connection, day, day)
    for _ in range(rows):
        await connection.execute(ROW, noon(days_ago), WHO, stored_at or noon(days_ago))
    return day


@pytest.fixture
async def restored(server_urls, worker_number, tmp_path):
    """Restores what a database holds; DSN of the new one."""
    async with ordinary_database(server_urls[0], f"without_{worker_number}") as url:

        async def restore(source):
            file = tmp_path / "backup.zip"
            assert (await command(source, "backup", file, "--without-logs")).status == 0
            assert (await command(url, "restore", file, "--json")).data["drifts"] == []
            return url

        yield restore


async def kept_days(url):
    """How long ago, of the days with rows."""
    async with connected(url) as connection:
        days = await present_days(connection)
        return [
            (datetime.now(UTC).date() - day).days
            for day in days
            if await connection.fetchval(f"select exists (select from {partition_name(day)})")
        ]


async def test_days_that_are_summed_up_are_left_out_and_stay_as_they_were(restored, fresh_database_url):
    async with connected(fresh_database_url) as connection:
        for days_ago in (4, 3, 2, 1, 0):
            await summarise(connection, await logged(connection, days_ago, 3))
        url = await restored(fresh_database_url)
    assert await kept_days(url) == [1, 0]
    async with connected(url) as connection:
        day = await logged(connection, 3, 2)
        await summarise(connection, day)
        assert await connection.fetchval(SUM, day) == 3 + 2
        await summarise(connection, noon(1).date(), again=True)
        assert await connection.fetchval(SUM, noon(1).date()) == 3


async def test_a_day_that_is_not_summed_up_is_kept_with_all_after_it(restored, fresh_database_url):
    async with connected(fresh_database_url) as connection:
        for days_ago in (5, 4, 3, 2):
            day = await logged(connection, days_ago, 3)
            await summarise(connection, day)
        await logged(connection, 4, 1)
        url = await restored(fresh_database_url)
    assert await kept_days(url) == [4, 3, 2]


async def test_a_day_whose_rows_the_rollups_lack_is_kept(restored, fresh_database_url):
    stored_at = datetime.now(UTC)
    async with connected(fresh_database_url) as connection:
        day = await logged(connection, 3, 2, stored_at)
        await summarise(connection, day)
        await connection.execute(
            "insert into usage_unfolded (owner, stored_at, first_at) values (gen_random_uuid(), $1, $2)",
            stored_at,
            noon(3),
        )
        url = await restored(fresh_database_url)
    assert await kept_days(url) == [3]
    async with connected(url) as connection:
        assert await connection.fetchval("select sum(requests) from usage_rollup where grain = 'day'") == 2
        assert await connection.fetchval("select count(*) from usage_unfolded") == 0


@pytest.mark.parametrize("elsewhere", [False, True])
async def test_a_restore_says_that_a_copy_needs_a_log_store_of_its_own(
    server_urls, worker_number, tmp_path, fresh_database_url, elsewhere
):
    if elsewhere:
        async with connected(fresh_database_url) as connection:
            await connection.execute("insert into log_store default values")
    async with ordinary_database(server_urls[0], f"copy_{worker_number}") as url:
        file = tmp_path / "backup.zip"
        assert (await command(fresh_database_url, "backup", file)).status == 0
        done = await command(url, "restore", file, "--json")
    assert done.status == 0
    assert done.data["logs_elsewhere"] is elsewhere
    assert ("needs a LOG_STORE_URL of its own" in done.err) is elsewhere


@pytest.mark.parametrize("unfolded", [0, 5])
async def test_a_restore_counts_the_log_rows_that_no_rollup_had(restored, fresh_database_url, unfolded):
    async with connected(fresh_database_url) as connection:
        await logged(connection, 0, 5)
        if unfolded:
            await connection.execute(
                "insert into usage_unfolded (owner, stored_at, first_at) values ($1, $2, $2)", WHO, noon(0)
            )
    async with connected(await restored(fresh_database_url)) as connection:
        found = await connection.fetchval("select coalesce(sum(requests), 0) from usage_rollup where grain = 'hour'")
        assert found == unfolded
        assert await connection.fetchval("select count(*) from usage_unfolded") == 0
