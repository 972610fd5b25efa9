"""A furnished database and real gateways for the named cases of this folder."""

from collections.abc import AsyncIterator
from dataclasses import dataclass

import pytest

from tests.conftest import copy_template, in_own_thread
from tests.doors import DOORS
from tests.gateways import RunningGateway, Tenant, connected, make_service, make_tenant, running_gateway
from tests.wire.upstream import RecordingUpstream

BODY_LIMIT = 1_000


@dataclass(frozen=True)
class World:
    """What all gateways of this folder share. Services: /proxy, /limited (bodies), /based (/tenant/a), /cors."""

    database_url: str
    redis_url: str
    upstream: RecordingUpstream
    tenant: Tenant
    other: Tenant


@pytest.fixture(scope="session")
async def world(server_urls: tuple[str, str], redis_url: str, worker_number: int) -> AsyncIterator[World]:
    """Two tenants, four services, one strict upstream."""
    database_url = in_own_thread(lambda: copy_template(server_urls[0], f"named_cases_{worker_number}"))
    upstream = RecordingUpstream().start()
    async with connected(database_url) as connection:
        tenant, other = await make_tenant(connection, "first"), await make_tenant(connection, "second")
        await make_service(connection, "plain", "/proxy", upstream.port)
        await make_service(connection, "limited", "/limited", upstream.port, max_body_bytes=BODY_LIMIT)
        await make_service(connection, "based", "/based", upstream.port, path="/tenant/a")
        await make_service(connection, "cors", "/cors", upstream.port, cors_origins=["https://app.example"])
    yield World(database_url, redis_url, upstream, tenant, other)
    upstream.stop()


@pytest.fixture(scope="session", params=DOORS)
async def gateway(world: World, request: pytest.FixtureRequest) -> AsyncIterator[RunningGateway]:
    """One worker, default settings but for the throttle of bad keys."""
    async with running_gateway(world.database_url, world.redis_url, GATEWAY_DOOR=request.param) as started:
        yield started


@pytest.fixture(scope="session", params=DOORS)
async def strict_gateway(world: World, request: pytest.FixtureRequest) -> AsyncIterator[RunningGateway]:
    """One worker with short deadlines, a Host list, and 20 bad keys a minute."""
    async with running_gateway(
        world.database_url,
        world.redis_url,
        GATEWAY_HEADER_TIMEOUT_SECONDS="1",
        GATEWAY_BODY_TIMEOUT_SECONDS="1",
        GATEWAY_ALLOWED_HOSTS="127.0.0.1,api.example",
        KEY_BAD_KEY_LIMIT_PER_MINUTE="20",
        GATEWAY_DOOR=request.param,
    ) as started:
        yield started
