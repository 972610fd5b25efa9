import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from uuid import uuid4

import asyncpg
import pytest

from domain.ingesting.ingester import Ingester
from domain.journal.journal import Journal
from domain.journal.records import BEGIN, END, shortened
from domain.settings import DatabaseSettings, JournalSettings
from tests.deadlines import until

COUNTS = """
select (select count(*) from request_log), (select count(distinct id) from request_log),
       (select coalesce(sum(requests), 0)::bigint from usage_rollup where grain = 'minute'),
       (select coalesce(sum(requests), 0)::bigint from usage_rollup where grain = 'hour'),
       (select coalesce(sum(requests), 0)::bigint from usage_rollup where grain = 'day')
"""


class Writer:
    """A worker's journal, without the worker."""

    def __init__(self, folder: Path) -> None:
        self.journal = Journal(folder / uuid4().hex, JournalSettings(segment_mb=1, max_mb=64))

    def end(self, *records: bytes) -> None:
        for record in records:
            assert self.journal.promise()
            self.journal.append(END, record)

    def begin(self, record: bytes) -> None:
        assert self.journal.promise()
        self.journal.append(BEGIN, shortened(record))


@pytest.fixture
def journals(tmp_path) -> Path:
    return tmp_path / "journal"


@pytest.fixture
async def writer_in(journals) -> AsyncIterator[Callable]:
    """Makes workers' journals; `stop` of one is its worker's death."""
    made = []

    async def make() -> Writer:
        writer = Writer(journals)
        await writer.journal.start()
        made.append(writer)
        return writer

    yield make
    for writer in made:
        if not writer.journal._stopped:
            await writer.journal.stop()


@pytest.fixture
async def database(fresh_database_url) -> AsyncIterator[asyncpg.Connection]:
    connection = await asyncpg.connect(fresh_database_url)
    yield connection
    await connection.close()


@asynccontextmanager
async def ingesting(journals: Path, url: str) -> AsyncIterator[Ingester]:
    ingester = Ingester(journals, DatabaseSettings(url=url))
    task = asyncio.create_task(ingester.run())
    try:
        yield ingester
    finally:
        ingester.stop()
        await task


@pytest.fixture
async def ingest(journals, fresh_database_url) -> AsyncIterator[Callable]:
    """Starts an ingester on the test's journals; `url` in place of the database's own."""
    async with AsyncExitStack() as stack:

        async def start(url: str = "") -> Ingester:
            return await stack.enter_async_context(ingesting(journals, url or fresh_database_url))

        yield start


async def counted(database, wanted: int, seconds: float = 20.0) -> None:
    """Return when log and rollups hold `wanted` rows, each once; fail if there are ever more."""
    rows = [0]

    async def look() -> None:
        rows[:] = await database.fetchrow(COUNTS)
        assert max(rows) <= wanted, rows

    async with asyncio.timeout(seconds):
        while rows != [wanted] * 5:
            await asyncio.sleep(0.02)
            await look()


def gone(path: Path):
    return until(lambda: not path.exists(), what=f"the end of {path}")
