from collections.abc import AsyncIterator, Callable

import asyncpg
import pytest

from domain.metering import Recorder
from domain.settings import DatabaseSettings, LogSettings


@pytest.fixture
async def database(fresh_database_url) -> AsyncIterator[asyncpg.Connection]:
    """A connection of the test itself to a migrated database that only it sees."""
    connection = await asyncpg.connect(fresh_database_url)
    yield connection
    await connection.close()


@pytest.fixture
async def recorder_on() -> AsyncIterator[Callable[..., Recorder]]:
    """Makes recorders by DSN and stops them in the end."""
    made: list[Recorder] = []

    async def make(url: str, **settings: int) -> Recorder:
        recorder = Recorder(DatabaseSettings(url=url), LogSettings(**settings))
        await recorder.start()
        made.append(recorder)
        return recorder

    yield make
    for recorder in made:
        await recorder.stop(drain=1.0)
