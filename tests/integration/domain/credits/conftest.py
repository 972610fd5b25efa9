import pytest

from tests.integration.domain.credits.accounts import new_organization


@pytest.fixture
async def connection(pool):
    async with pool.acquire() as acquired:
        yield acquired


@pytest.fixture
async def owner(connection):
    """An organization without an account yet."""
    return await new_organization(connection)
