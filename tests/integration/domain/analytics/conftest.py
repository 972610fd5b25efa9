"""Usage that is stored for a test, and who looks at it."""

from uuid import uuid4

import asyncpg
import pytest

from domain.access import Access


@pytest.fixture
async def database(fresh_database_url):
    """A database of this test's own: logs of many days make many partitions."""
    connection = await asyncpg.connect(fresh_database_url)
    yield connection
    await connection.close()


@pytest.fixture
def access() -> Access:
    """Somebody in an organization of which nothing is stored yet."""
    return Access(uuid4(), "acme", "Acme", "active", 1, "owner")


DAYS_OF_LOGS = 120
"""How old rows of a test may be."""
