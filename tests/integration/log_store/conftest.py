"""A database that sends its request logs to ClickHouse."""

from collections.abc import AsyncIterator

import asyncpg
import pytest

from domain.log_store.clickhouse import ClickHouse
from domain.log_store.turning import turn_on


@pytest.fixture
async def turned_on(fresh_database_url: str, log_store: ClickHouse) -> ClickHouse:
    """The log store of the test's database, turned on."""
    await turn_on(fresh_database_url, log_store)
    return log_store


@pytest.fixture
async def database(fresh_database_url: str) -> AsyncIterator[asyncpg.Connection]:
    """A connection of the test itself."""
    connection = await asyncpg.connect(fresh_database_url)
    yield connection
    await connection.close()
