"""Plans and customers of one test, in a database of this folder."""

from collections.abc import AsyncIterator

import asyncpg
import pytest

from domain import organizations, plans
from domain.limit_texts import parse_limits
from tests.conftest import copy_template, in_own_thread
from tests.subscriptions import fresh


@pytest.fixture(scope="session")
def lifecycle_url(server_urls: tuple[str, str], worker_number: int) -> str:
    """DSN of this folder's database: its tests let time pass for everybody in it."""
    return in_own_thread(lambda: copy_template(server_urls[0], f"lifecycle_{worker_number}"))


@pytest.fixture(scope="session")
async def pool(lifecycle_url: str) -> AsyncIterator[asyncpg.Pool]:
    """Connections to it."""
    async with asyncpg.create_pool(lifecycle_url, min_size=1, max_size=8) as made:
        yield made


@pytest.fixture
async def connection(pool):
    async with pool.acquire() as acquired:
        yield acquired


@pytest.fixture
def new_plan(connection):
    """Make a plan of its own name; 1000/hour unless other limits are given."""

    async def make(*limits, **values):
        return await plans.create(
            connection, slug=fresh("plan"), limits=parse_limits(limits or ["1000/hour"]), **values
        )

    return make


@pytest.fixture
def new_customer(connection):
    """Make an organization on a plan."""

    async def make(plan, **values):
        return await organizations.create(connection, name=fresh("org"), plan_slug=plan.slug, **values)

    return make
