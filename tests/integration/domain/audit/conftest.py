import asyncpg
import pytest

from domain.audit_chain.sealing import seal
from tests.conftest import copy_template, in_own_thread
from tests.integration.domain.audit.entries import three_days


@pytest.fixture
async def fresh(fresh_database_url):
    """A connection to a database that has nothing but the schema."""
    connection = await asyncpg.connect(fresh_database_url)
    yield connection
    await connection.close()


@pytest.fixture(scope="module")
def sealed_url(server_urls, worker_number):
    """A database with three sealed days, made once for the module: whoever changes it rolls back."""

    async def make():
        url = await copy_template(server_urls[0], f"sealed_{worker_number}")
        connection = await asyncpg.connect(url)
        await three_days(connection, seal)
        await connection.close()
        return url

    return in_own_thread(make)


@pytest.fixture
async def tampered(sealed_url):
    """A connection of somebody who may do everything, in a transaction that is rolled back."""
    connection = await asyncpg.connect(sealed_url)
    transaction = connection.transaction()
    await transaction.start()
    await connection.execute("set local session_replication_role = replica")
    yield connection
    await transaction.rollback()
    await connection.close()
