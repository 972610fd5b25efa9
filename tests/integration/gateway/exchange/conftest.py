"""One gateway, one recording upstream, and a tenant, for every test of this folder; each test adds rows of its own."""

import time
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from itertools import count
from typing import Any

import asyncpg
import pytest

from domain import keys
from tests.doors import DOORS
from tests.gateways import RunningGateway, Tenant, free_port, key_settings, make_service, make_tenant, running_gateway
from tests.wire.answers import WireAnswer
from tests.wire.upstream import RecordingUpstream

_NUMBERS = count()


@dataclass
class House:
    """What a test needs: rows through `pool`, requests through `ask`."""

    gateway: RunningGateway
    upstream: RecordingUpstream
    pool: "asyncpg.Pool"
    tenant: Tenant

    async def ask(
        self, target: str, *lines: str, key: str | None = None, method: str = "GET", body: bytes = b""
    ) -> WireAnswer:
        raw = self.gateway.request(target, self.tenant.key if key is None else key, *lines, method=method, body=body)
        return await self.gateway.ask(raw, method)

    def unique(self, stem: str) -> str:
        return f"{stem}-{next(_NUMBERS)}"

    async def a_tenant(self, **options: Any) -> Tenant:
        return await _tenant(self.pool, self.unique("tenant"), **options)

    async def a_key(self, tenant: Tenant | None = None, **restrictions: Any) -> str:
        of = tenant or self.tenant
        created = await keys.create(
            self.pool, key_settings(), organization_id=of.organization_id, name="restricted", **restrictions
        )
        return created.plaintext

    async def a_service(self, *, operations: tuple[tuple[str, str, bool], ...] = (), **columns: Any) -> str:
        """A service of its own, known to the gateway; its slug, which is its prefix too. Operations: name, path, enabled."""
        slug = self.unique("service")
        async with self.pool.acquire() as connection, connection.transaction():
            service = await make_service(connection, slug, f"/{slug}", columns.pop("port", self.upstream.port))
            for name, value in columns.items():
                await connection.execute(f"update service set {name} = $2 where slug = $1", slug, value)
            for name, path, enabled in operations:
                await connection.execute(
                    "insert into operation (service_id, name, method, path_pattern, enabled) values ($1, $2, 'GET', $3, $4)",
                    service,
                    name,
                    path,
                    enabled,
                )
        await self.eventually(f"/{slug}/", lambda answer: b"unknown_route" not in answer.body, key="")
        return slug

    async def eventually(self, target: str, holds: Callable[[WireAnswer], bool], **options: Any) -> WireAnswer:
        """Ask until the answer is as wished; G4 gives a change one second to arrive."""
        deadline = time.monotonic() + 1.0
        while not holds(answer := await self.ask(target, **options)):
            assert time.monotonic() < deadline, answer
        return answer

    def seen(self, mark: str) -> int:
        return sum(mark in record.target for record in self.upstream.records)


@pytest.fixture(scope="package", params=DOORS)
async def house(
    database_url: str, redis_url: str, pool: "asyncpg.Pool", request: pytest.FixtureRequest
) -> AsyncIterator[House]:
    upstream = RecordingUpstream().start()
    settings = {"GATEWAY_TRUSTED_PROXIES": "127.0.0.1/32", "GATEWAY_DOOR": request.param}
    try:
        async with running_gateway(database_url, redis_url, **settings) as gateway:
            tenant = await _tenant(pool, f"house-{request.param}")
            yield House(gateway, upstream, pool, tenant)
    finally:
        upstream.stop()


@pytest.fixture(scope="package")
def closed_port() -> int:
    return free_port()


async def _tenant(pool: "asyncpg.Pool", slug: str, **options: Any) -> Tenant:
    async with pool.acquire() as connection:
        return await make_tenant(connection, slug, **options)
