"""A search that finds little is bounded: it says how far it came, and goes on from there without a gap."""

from uuid import uuid4

import pytest

from domain.log_search import LogSearch, search_logs


@pytest.fixture
async def organization_id(pool):
    """Two hundred rows of an organization, of which every fiftieth is of the path /rare, among those of another."""
    mine, other = uuid4(), uuid4()
    for whose, path, count in ((mine, "/often", 200), (other, "/rare", 20)):
        await pool.execute(
            "insert into request_log (id, at, organization_id, method, path, status, outcome, total_us, bytes_in, bytes_out)"
            " select gen_random_uuid(), now() - i * interval '10 ms', $1, 'GET', case when i % 50 = 0 then '/rare' else $2 end,"
            " 200, 'served', 1, 0, 0 from generate_series(1, $3::int) i",
            whose,
            path,
            count,
        )
    return mine


async def test_a_search_stops_when_its_time_is_over_and_goes_on_from_there(pool, organization_id):
    after, paths, rounds, last = None, [], 0, None
    while True:
        async with pool.acquire() as connection:
            found = await search_logs(
                connection, organization_id, LogSearch(path="/rare"), after=after, limit=3, seconds=0, first_step=30
            )
        paths += [entry.path for entry in found.entries]
        rounds += 1
        assert last is None or found.looked_back_to is None or found.looked_back_to < last
        last, after = found.looked_back_to or last, found.following
        if after is None:
            break
    assert paths == ["/rare"] * 4
    assert rounds > 4


async def test_with_time_left_it_goes_on_by_itself(pool, organization_id):
    async with pool.acquire() as connection:
        found = await search_logs(
            connection, organization_id, LogSearch(path="/rare"), limit=3, seconds=30, first_step=10, step=10
        )
    assert (len(found.entries), found.looked_back_to) == (3, None)
    assert found.following is not None


async def test_the_last_page_has_no_following_one(pool, organization_id):
    async with pool.acquire() as connection:
        whole = await search_logs(connection, organization_id, LogSearch(), limit=200)
        rare = await search_logs(connection, organization_id, LogSearch(path="/rare"), limit=4)
    assert (len(whole.entries), whole.following, whole.looked_back_to) == (200, None, None)
    assert (len(rare.entries), rare.following) == (4, None)


@pytest.mark.parametrize(
    ("wanted", "index"),
    [
        (LogSearch(), "organization_id_at"),
        (LogSearch(lowest_status=500, highest_status=599), "bad|organization_id_at"),
        (LogSearch(key_ids=(uuid4(),)), "key_id_at"),
    ],
)
async def test_each_search_goes_along_an_index_and_sorts_nothing_whole(pool, organization_id, wanted, index):
    import re

    seen = []
    async with pool.acquire() as connection:
        await connection.execute("set enable_seqscan = off; set enable_bitmapscan = off; set enable_sort = off")
        try:
            connection.add_query_logger(lambda record: seen.append((record.query, record.args)))
            await search_logs(connection, organization_id, wanted)
            statement, values = next(one for one in seen if "looked_at" in one[0])
            plan = "\n".join(row[0] for row in await connection.fetch(f"explain {statement}", *values))
        finally:
            await connection.execute("reset all")
            await connection.reset()
    assert re.search(f"Index Scan using request_log_\\d+_({index})", plan), plan
