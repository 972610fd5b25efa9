"""A database for one test: what operators are told of is of the whole installation."""

import asyncpg
import pytest


@pytest.fixture
async def own(fresh_database_url):
    async with asyncpg.create_pool(fresh_database_url, min_size=1, max_size=4) as made:
        yield made
