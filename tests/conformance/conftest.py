"""One real gateway for each door, in front of one strict upstream, for all cases of this folder."""

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack

import pytest

from tests.conformance.conversations import Bench
from tests.conftest import copy_template, in_own_thread
from tests.doors import BOTH
from tests.gateways import connected, make_service, make_tenant, running_gateway
from tests.wire.upstream import RecordingUpstream


@pytest.fixture(scope="session")
async def benches(server_urls: tuple[str, str], redis_url: str, worker_number: int) -> AsyncIterator[dict[str, Bench]]:
    """By door: the gateway, a key without reachable limits, and the upstream behind `/proxy`."""
    database_url = in_own_thread(lambda: copy_template(server_urls[0], f"conformance_{worker_number}"))
    upstream = RecordingUpstream().start()
    try:
        async with connected(database_url) as connection:
            tenant = await make_tenant(connection, "conformance")
            await make_service(connection, "conformance", "/proxy", upstream.port)
        async with AsyncExitStack() as stack:
            made = {}
            for door in BOTH:
                gateway = await stack.enter_async_context(running_gateway(database_url, redis_url, GATEWAY_DOOR=door))
                made[door] = Bench(gateway.address, tenant.key, upstream)
                await made[door].learn_own_fields()
            yield made
    finally:
        upstream.stop()


@pytest.fixture(scope="session", params=BOTH)
def bench(request: pytest.FixtureRequest, benches: dict[str, Bench]) -> Bench:
    """Every test of this folder runs through both doors."""
    return benches[request.param]
