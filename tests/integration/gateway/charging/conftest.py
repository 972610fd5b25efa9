"""A shop: one gateway, one scripted upstream, services that charge on success and on response; a tenant for each test."""

import asyncio
import time
from collections.abc import AsyncIterator
from dataclasses import dataclass
from itertools import count
from typing import Any
from uuid import UUID

import asyncpg
import pytest

from domain import operations
from tests.conftest import copy_template, in_own_thread
from tests.doors import BOTH
from tests.gateways import RunningGateway, Tenant, make_service, make_tenant, running_gateway
from tests.integration.domain.credits.accounts import account, bonus, posted
from tests.wire.answers import WireAnswer
from tests.wire.upstream import RecordingUpstream

CREDITS = 1_000_000
PRICE, RESERVED = CREDITS // 10, CREDITS
_NUMBERS = count()


@dataclass
class Buyer:
    """A tenant with credits, and what the database says of it."""

    shop: "Shop"
    tenant: Tenant

    @property
    def id(self) -> UUID:
        return self.tenant.organization_id

    def target(self, policy: str, rest: str) -> str:
        return f"/{policy}/{rest}-{self.tenant.slug}"

    async def ask(self, target: str, *lines: str, method: str = "GET", seconds: float = 10.0) -> WireAnswer:
        raw = self.shop.gateway.request(target, self.tenant.key, *lines, method=method)
        return await self.shop.gateway.ask(raw, method, seconds)

    async def rows(self, number: int, seconds: float = 10.0) -> list[tuple[str, int, int]]:
        """(outcome, status, cost) of each row in the request log, oldest first, once there are so many."""
        deadline = time.monotonic() + seconds
        while True:
            rows = await self.shop.pool.fetch(
                "select outcome, status, cost_micro from request_log where organization_id = $1 order by at", self.id
            )
            if len(rows) >= number:
                return [tuple(row) for row in rows]
            assert time.monotonic() < deadline, rows
            await asyncio.sleep(0.02)

    async def account(self) -> dict[str, int]:
        async with self.shop.pool.acquire() as connection:
            return await account(connection, self.id)

    async def at_rest(self, seconds: float = 15.0) -> dict[str, int]:
        """The account once nothing is leased or reserved: an idle worker gives back what it holds."""
        deadline = time.monotonic() + seconds
        while (found := await self.account())["leased"] or found["reserved"]:
            assert time.monotonic() < deadline, found
            await asyncio.sleep(0.05)
        return found

    async def spent(self, number: int) -> int:
        """What the ledger says was used, once so many rows are stored: both come in one transaction."""
        await self.rows(number)
        return (await self.account())["usage"]


@dataclass
class Shop:
    gateway: RunningGateway
    upstream: RecordingUpstream
    pool: "asyncpg.Pool"
    database_url: str

    async def buyer(self, micro: int = 5 * CREDITS, **options: Any) -> Buyer:
        async with self.pool.acquire() as connection:
            tenant = await make_tenant(connection, f"buyer-{next(_NUMBERS)}", **options)
            if micro:
                await posted(connection, bonus(tenant.organization_id, micro))
        return Buyer(self, tenant)


async def furnish(connection: Any, port: int, closed_port: int) -> None:
    """Services `success` and `response`, each with a priced, a reserved, a free and a metered operation; `gone-*` without
    upstream.
    """
    for policy in ("success", "response"):
        for slug, to in ((policy, port), (f"gone-{policy}", closed_port)):
            await make_service(
                connection, slug, f"/{slug}", to, charge_on=policy, connect_timeout_ms=1_000,
                first_byte_timeout_ms=700, idle_timeout_ms=700,
            )  # fmt: skip
            for name, pattern, price, reserved in (
                ("priced", "/*", PRICE, False), ("reserved", "/reserved/*", RESERVED, True), ("free", "/free/*", 0, False),
            ):  # fmt: skip
                await operations.create(
                    connection, service_slug=slug, method="*", path_pattern=pattern, name=name, price_micro=price,
                    reserved=reserved,
                )  # fmt: skip
            await operations.create(
                connection, service_slug=slug, method="*", path_pattern="/metered/*", name="metered", price_micro=CREDITS,
                cost_formula="0.05 + 0.01 * answer.bytes",
            )  # fmt: skip


@pytest.fixture(scope="package", params=BOTH)
async def shop(
    server_urls: tuple[str, str], redis_url: str, worker_number: int, request: pytest.FixtureRequest
) -> AsyncIterator[Shop]:
    from tests.gateways import free_port

    url = in_own_thread(lambda: copy_template(server_urls[0], f"shop_{request.param}_{worker_number}"))
    upstream = RecordingUpstream().start()
    async with asyncpg.create_pool(url, min_size=1, max_size=4) as pool:
        async with pool.acquire() as connection:
            await furnish(connection, upstream.port, free_port())
        async with running_gateway(url, redis_url, GATEWAY_DOOR=request.param) as gateway:
            yield Shop(gateway, upstream, pool, url)
    upstream.stop()


@pytest.fixture
async def buyer(shop: Shop) -> Buyer:
    return await shop.buyer()
