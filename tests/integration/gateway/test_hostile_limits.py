"""A caller can't get behind a limit by asking for too much at once."""

import asyncio
from collections import Counter

from tests.gateways import RunningGateway, connected, make_tenant, running_gateway
from tests.integration.gateway.conftest import World
from tests.wire.raw_client import RawClient

LIMIT, BURST = 50, 600


async def test_a_burst_on_a_cold_worker_is_admitted_exactly(world: World) -> None:
    """While Redis is there it decides, however busy this worker is: a local limit would be a second allowance."""
    async with connected(world.database_url) as connection:
        tenant = await make_tenant(connection, "bursting", amount=LIMIT)
    async with running_gateway(world.database_url, world.redis_url) as gateway:
        for admitted in (LIMIT, 0):
            clients = await asyncio.gather(*(RawClient.connect(gateway.address) for _ in range(BURST)))
            statuses = await asyncio.gather(*(_ask(client, gateway, tenant.key) for client in clients))
            assert Counter(statuses) == Counter({200: admitted, 429: BURST - admitted})
        assert "Redis is away" not in gateway.log


async def _ask(client: RawClient, gateway: RunningGateway, key: str) -> int:
    async with client:
        await client.send(gateway.request("/proxy/hostile-burst", key))
        return (await client.answers(1, 20)).final[0].status
