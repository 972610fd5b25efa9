"""A furnished database, an upstream, a collector and a gateway that sends it spans, each as a test wants it.

async with staged(database_url, redis_url, answer(503)) as stage: ids = await stage.ask(5)
"""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass

from tests.collectors import Collector, collecting, request_ids
from tests.deadlines import until
from tests.gateways import RunningGateway, Tenant, connected, make_service, make_tenant, running_gateway
from tests.wire.raw_client import RawClient
from tests.wire.upstream import RecordingUpstream


async def figure(gateway: RunningGateway, name: str) -> float:
    """One of /metrics; -1 while it is not there."""
    async with await RawClient.connect(gateway.internal_address) as client:
        await client.send(b"GET /metrics HTTP/1.1\r\nHost: a\r\n\r\n")
        await client.ended()
        for line in bytes(client.received).decode().splitlines():
            if line.startswith(f"paid_endpoint_{name} "):
                return float(line.split()[1])
    return -1


@dataclass
class Stage:
    """The service `/t` has no operations."""

    upstream: RecordingUpstream
    tenant: Tenant
    collector: Collector
    gateway: RunningGateway

    async def ask(self, count: int, target: str = "/t/x") -> list[str]:
        """Ids of so many requests, one behind the other."""
        ids = []
        async with await RawClient.connect(self.gateway.address) as client:
            for _ in range(count):
                client.received.clear()
                await client.send(self.gateway.request(target, self.tenant.key))
                (given,) = (await client.answers(1)).final
                assert given.status == 200
                ids += given.values("x-request-id")
        return ids

    async def reaches(self, name: str, least: float, seconds: float = 30.0) -> float:
        """The same once it is so much."""
        async with asyncio.timeout(seconds):
            while (found := await figure(self.gateway, name)) < least:
                await asyncio.sleep(0.05)
        return found

    async def whole(self, ids: list[str], seconds: float = 60.0) -> None:
        """The collector has the spans of all these."""
        await until(lambda: set(ids) <= set(request_ids(self.collector.servers)), seconds, "every span")


@asynccontextmanager
async def staged(
    database_url: str, redis_url: str, *answers: bytes | None, url: str = "", **settings: str
) -> AsyncIterator[Stage]:
    """`answers` are the collector's; `url` is another endpoint than its own."""
    upstream = RecordingUpstream().start()
    async with connected(database_url) as connection:
        tenant = await make_tenant(connection, "t")
        await make_service(connection, "t", "/t", upstream.port)
    async with collecting(*answers) as collector:
        named = {"OTEL_EXPORTER_OTLP_ENDPOINT": url or collector.url, "OTEL_BSP_SCHEDULE_DELAY": "50", **settings}
        async with running_gateway(database_url, redis_url, **named) as gateway:
            yield Stage(upstream, tenant, collector, gateway)
    upstream.stop()
