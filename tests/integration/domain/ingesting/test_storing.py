"""Records get from the journals into the log and the rollups: all of them, as they are, soon."""

import asyncio
import json
from datetime import UTC, datetime, timedelta
from uuid import UUID, uuid4

from domain.histogram import percentile
from domain.journal.reading import open_journals
from domain.journal.records import Recorded, unpack
from domain.partitions import partition_name
from tests.deadlines import until
from tests.integration.domain.ingesting.conftest import counted, gone
from tests.journals import dimensions, record


async def test_a_row_is_stored_as_it_was_recorded(database, writer_in, ingest):
    writer, ingester = await writer_in(), await ingest()
    who = [uuid4() for _ in range(4)]
    written = [
        record(dimensions=dimensions(*who), query=b"a=1", decision=b"\0\xff\x01", cost_micro=7, client=b"2001:db8::1"),
        record(upstream_us=-1, status=429, outcome="refused", refusal=b"rate_limited", limit_name=b"hour,day"),
        record(path="/grün".encode(), user_agent=b"bad \xff\xc0 \0 text", client=b"unix:", trace_id=b""),
        record(client=b"fe80::1%eth0", outcome="gone", method=b""),
    ]
    writer.end(*written)
    await until(lambda: ingester.status().stored == 4, seconds=2)
    for row in map(unpack, written):
        stored = await database.fetchrow("select *, host(client) as address from request_log where id = $1", row.id)
        for column in Recorded._fields:
            if column != "client":
                assert stored[column] == getattr(row, column), column
        assert stored["address"] == {"unix:": None, "fe80::1%eth0": "fe80::1"}.get(row.client, row.client)


async def test_rollups_hold_counts_sums_and_the_histogram(database, writer_in, ingest):
    writer = await writer_in()
    await ingest()
    who, now = uuid4(), int(datetime.now(UTC).timestamp() * 1e6)
    for number in range(1, 201):
        kind = {0: {"status": 500}, 1: {"status": 429, "outcome": "refused"}}.get(number % 4, {})
        writer.end(record(dimensions=dimensions(who), total_us=number * 100, at_us=now, **kind))
        if number == 100:
            await counted(database, 100)
    await counted(database, 200)
    for grain in ("minute", "hour", "day"):
        rows = await database.fetch("select * from usage_rollup where grain = $1 order by status_class", grain)
        assert {row["organization_id"] for row in rows} == {who}
        assert [row["status_class"] for row in rows] == [2, 4, 5]
        assert [row["requests"] for row in rows] == [100, 50, 50]
        assert [row["errors"] for row in rows] == [0, 50, 50]
        assert [row["refused"] for row in rows] == [0, 50, 0]
        assert [row["bytes_out"] for row in rows] == [1_000, 500, 500]
        assert sum(row["total_us_sum"] for row in rows) == 100 * 201 * 100
        assert sum(sum(row["latency"]) for row in rows) == 200
        assert 5_000 < percentile(rows[0]["latency"], 0.5) < 15_000
        assert rows[0]["bucket"] <= datetime.fromtimestamp(now / 1e6, UTC)
    assert await database.fetchval("select count(*) from usage_unfolded") == 0


async def test_a_missing_partition_is_made(database, writer_in, ingest):
    writer = await writer_in()
    await ingest()
    later = datetime.now(UTC) + timedelta(days=40)
    writer.end(record(at_us=int(later.timestamp() * 1e6)), record())
    await counted(database, 2)
    assert await database.fetchval(f"select count(*) from {partition_name(later.date())}") == 1


async def test_what_can_never_be_stored_is_set_aside_and_the_rest_goes_on(
    database, writer_in, ingest, journals, caplog
):
    writer, ingester = await writer_in(), await ingest()
    twice = record()
    spoiled = {7: record(status=40_000), 13: record(at_us=2**62), 17: twice}
    writer.end(twice)
    writer.end(*[spoiled.get(number) or record() for number in range(20)])
    await counted(database, 18)
    assert ingester.status().rejected == 3
    lines = [json.loads(line) for line in (journals / "rejected.jsonl").read_text().split("\n") if line]
    assert {line["request_id"] for line in lines} == {str(UUID(bytes=bad[:16])) for bad in spoiled.values()}
    assert str(UUID(bytes=spoiled[7][:16])) in caplog.text
    ingester.stop()
    await ingest()
    writer.end(record())
    await counted(database, 19)


async def test_a_worker_that_died_leaves_its_begun_answers_as_cut_and_nothing_on_the_disk(
    database, writer_in, ingest, journals
):
    writer, ingester = await writer_in(), await ingest()
    ended, open_ = record(), [record(status=206) for _ in range(3)]
    writer.begin(ended)
    for begun in open_:
        writer.begin(begun)
    writer.journal.append(1, ended)
    await counted(database, 1)
    assert journals.joinpath(writer.journal._supply.folder.name).exists()
    await writer.journal.stop()
    await counted(database, 4)
    rows = await database.fetch("select id from request_log where outcome = 'cut' and status = 206")
    assert {row["id"].bytes for row in rows} == {begun[:16] for begun in open_}
    await gone(writer.journal._supply.folder)
    assert ingester.status().cut == 3
    async with asyncio.timeout(5):
        while await database.fetchval("select count(*) from journal_position"):
            await asyncio.sleep(0.01)
    assert open_journals(journals) == []


async def test_stored_segments_are_deleted_and_those_of_open_answers_are_kept(database, writer_in, ingest):
    writer = await writer_in()
    await ingest()
    writer.begin(record())
    for _ in range(3):
        writer.end(*[record(path=b"/" + b"x" * 1_000) for _ in range(900)])
    await counted(database, 2_700)
    folder = writer.journal._supply.folder
    await until(lambda: min(int(path.stem) for path in folder.glob("*.seg")) >= 1)
    assert (folder / "00000001.seg").exists()
    await writer.journal.stop()
    await counted(database, 2_701)
    await gone(folder)


async def test_segments_go_when_nothing_is_open_in_them(database, writer_in, ingest):
    writer = await writer_in()
    await ingest()
    for _ in range(3):
        writer.end(*[record(path=b"/" + b"x" * 1_000) for _ in range(900)])
    await counted(database, 2_700)
    folder = writer.journal._supply.folder
    await until(lambda: not (folder / "00000001.seg").exists())


async def test_the_rest_of_an_ingester_that_ended_is_stored_by_the_next(database, writer_in, ingest):
    writer = await writer_in()
    for number in range(1, 4):
        ingester = await ingest()
        writer.end(*[record() for _ in range(300)])
        await until(lambda ingester=ingester: ingester.status().stored)
        ingester.stop()
        if number == 3:
            break
    await ingest()
    await counted(database, 900)


async def test_draining_stores_everything_and_closes_the_journals(database, writer_in, ingest, journals):
    writer, ingester = await writer_in(), await ingest()
    writer.end(*[record() for _ in range(500)])
    await writer.journal.stop()
    ingester.drain(10)
    await counted(database, 500)
    await until(lambda: open_journals(journals) == [])


async def test_two_nodes_that_add_to_the_same_rollups_lose_nothing(database, fresh_database_url, tmp_path):
    from tests.integration.domain.ingesting.conftest import Writer, ingesting

    who = [dimensions(uuid4(), uuid4()) for _ in range(50)]
    async with ingesting(tmp_path / "a", fresh_database_url), ingesting(tmp_path / "b", fresh_database_url):
        writers = [Writer(tmp_path / node) for node in "ab"]
        for writer in writers:
            await writer.journal.start()
        for number in range(40):
            for writer in writers:
                writer.end(*[record(dimensions=who[(number + turn * 7) % 50]) for turn in range(50)])
        await counted(database, 4_000)
        for writer in writers:
            await writer.journal.stop()
