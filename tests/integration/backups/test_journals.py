"""A journal that went on after the backup, and whose older segments were deleted since: what is on the disk is stored once."""

import asyncio

import asyncpg
import pytest

from domain.journal.reading import open_journals
from domain.journal.records import END, unpack
from tests.backups import command, ordinary_database
from tests.deadlines import until
from tests.integration.domain.ingesting.conftest import Writer, counted, ingesting
from tests.journals import record

LONG = b"/" + b"x" * 2_000
"""So that a segment of 1 MB has some 450 records."""


@pytest.fixture
async def writer(tmp_path):
    made = Writer(tmp_path / "journal")
    await made.journal.start()
    yield made
    await made.journal.stop()


async def written(writer, number):
    """So many more records; their ids."""
    records = [record(path=LONG) for _ in range(number)]
    for each in records:
        writer.end(each)
        await asyncio.sleep(0)
    return {unpack(each).id for each in records}


async def test_segments_that_are_gone_are_passed_over_and_the_others_stored_once(
    writer, fresh_database_url, server_urls, worker_number, tmp_path
):
    folder, file = tmp_path / "journal", tmp_path / "backup.zip"
    async with ingesting(folder, fresh_database_url) as ingester:
        in_backup = await written(writer, 300)
        await until(lambda: ingester.status().stored == 300, seconds=5, what="the first rows")
        assert (await command(fresh_database_url, "backup", file)).status == 0
        await written(writer, 1_500)
        await until(lambda: min(open_journals(folder)[0].segments()) > 1, seconds=20, what="the end of a segment")
    await written(writer, 100)
    on_disk = {unpack(payload).id for _, _, kind, payload in open_journals(folder)[0].read_from(0, 0) if kind == END}
    assert len(on_disk) < 1_600
    assert not on_disk & in_backup
    async with ordinary_database(server_urls[0], f"gap_{worker_number}") as url:
        assert (await command(url, "restore", file, "--json")).data["drifts"] == []
        async with ingesting(folder, url):
            connection = await asyncpg.connect(url)
            try:
                await counted(connection, len(on_disk) + 300)
                stored = {row["id"] for row in await connection.fetch("select id from request_log")}
            finally:
                await connection.close()
    assert stored == on_disk | in_backup
