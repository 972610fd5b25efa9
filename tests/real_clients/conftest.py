"""One gateway with one worker for all real clients."""

from collections.abc import AsyncIterator

import pytest

from tests.doors import DOORS
from tests.gateways import connected, make_tenant, running_gateway
from tests.real_clients.front import Front


@pytest.fixture(scope="session", params=DOORS)
async def front(database_url: str, redis_url: str, request: pytest.FixtureRequest) -> AsyncIterator[Front]:
    """The gateway; `front.behind(port)` puts an upstream behind it."""
    async with connected(database_url) as connection:
        tenant = await make_tenant(connection, f"real-clients-{request.param}")
    async with running_gateway(database_url, redis_url, GATEWAY_DOOR=request.param) as gateway:
        yield Front(gateway, tenant)
