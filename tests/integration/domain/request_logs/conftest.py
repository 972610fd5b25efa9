from collections.abc import AsyncIterator

import asyncpg
import pytest


@pytest.fixture
async def database(fresh_database_url) -> AsyncIterator[asyncpg.Connection]:
    """A connection of the test itself to a migrated database that only it sees."""
    connection = await asyncpg.connect(fresh_database_url)
    yield connection
    await connection.close()
