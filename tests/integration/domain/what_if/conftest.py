"""A database of one test, with a service whose requests are replayed."""

import asyncpg
import pytest

from tests.histories import history_of


@pytest.fixture
async def connection(fresh_database_url):
    opened = await asyncpg.connect(fresh_database_url)
    yield opened
    await opened.close()


@pytest.fixture
async def history(connection):
    return await history_of(connection)
