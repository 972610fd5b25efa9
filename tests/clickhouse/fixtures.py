"""Fixtures of ClickHouse: a server for each test process, a database for each test."""

from collections.abc import AsyncIterator, Iterator
from uuid import uuid4

import pytest

from domain.log_store.address import parse_address
from domain.log_store.clickhouse import ClickHouse
from tests.clickhouse.server import ClickHouseServer, clickhouse_server


@pytest.fixture(scope="session")
def clickhouse() -> Iterator[ClickHouseServer]:
    """This process's server. A test that kills it starts it again."""
    with clickhouse_server() as server:
        yield server


@pytest.fixture
async def log_store_url(clickhouse: ClickHouseServer) -> AsyncIterator[str]:
    """LOG_STORE_URL of a database that only this test sees, and that nobody has made yet."""
    url = clickhouse.url(f"test_{uuid4().hex[:12]}")
    yield url
    store = ClickHouse(parse_address(url))
    await store.execute(f"drop database if exists {store.address.database} sync", database=False)
    await store.close()


@pytest.fixture
async def log_store(log_store_url: str) -> AsyncIterator[ClickHouse]:
    """The way to that database."""
    store = ClickHouse(parse_address(log_store_url))
    yield store
    await store.close()
