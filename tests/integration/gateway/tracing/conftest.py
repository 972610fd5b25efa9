"""A furnished database, a collector, and a gateway whose requests leave spans: one for all cases of a file."""

from collections.abc import AsyncIterator
from dataclasses import dataclass

import pytest

from domain import operations
from tests.collectors import Collector, collecting
from tests.conftest import copy_template, in_own_thread
from tests.doors import DOORS
from tests.gateways import RunningGateway, Tenant, connected, make_service, make_tenant, running_gateway
from tests.wire.upstream import RecordingUpstream


@dataclass
class Traced:
    """One gateway of one worker; the service `/traced` with one operation, `GET /items/{id}`."""

    gateway: RunningGateway
    collector: Collector
    upstream: RecordingUpstream
    tenant: Tenant
    poor: Tenant
    """Has one request an hour."""


@pytest.fixture(scope="module", params=DOORS)
async def traced(
    server_urls: tuple[str, str], redis_url: str, worker_number: int, request: pytest.FixtureRequest
) -> AsyncIterator[Traced]:
    name = f"traced_{request.param}_{worker_number}"
    database_url = in_own_thread(lambda: copy_template(server_urls[0], name))
    upstream = RecordingUpstream().start()
    async with connected(database_url) as connection:
        tenant, poor = await make_tenant(connection, "rich"), await make_tenant(connection, "poor", amount=1)
        await make_service(connection, "traced", "/traced", upstream.port)
        await operations.create(
            connection, service_slug="traced", method="GET", path_pattern="/items/{id}", name="item", price_micro=0
        )
    settings = {"GATEWAY_DOOR": request.param, "OTEL_BSP_SCHEDULE_DELAY": "50"}
    async with (
        collecting() as collector,
        running_gateway(database_url, redis_url, OTEL_EXPORTER_OTLP_ENDPOINT=collector.url, **settings) as gateway,
    ):
        yield Traced(gateway, collector, upstream, tenant, poor)
    upstream.stop()
