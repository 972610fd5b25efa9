"""A gateway whose operations replay, beside some that don't; a tenant for each test."""

import asyncio
import time
from collections.abc import AsyncIterator
from itertools import count
from typing import Any

import asyncpg
import pytest

from domain import operations
from tests.conftest import copy_template, in_own_thread
from tests.doors import BOTH
from tests.gateways import free_port, make_service, running_gateway
from tests.integration.gateway.charging.conftest import CREDITS, PRICE, RESERVED, Buyer, Shop
from tests.wire.answers import WireAnswer
from tests.wire.upstream import Recorded, RecordingUpstream

MOST_KEPT = 200_000
_KEYS = count()


class Caller(Buyer):
    """A tenant that sends writes under idempotency keys."""

    def new_key(self) -> str:
        return f"key-{next(_KEYS)}"

    def raw(self, target: str, key: str, body: bytes = b"", *lines: str, method: str = "POST") -> bytes:
        named = (f"Idempotency-Key: {key}",) if key else ()
        return self.shop.gateway.request(target, self.tenant.key, *named, *lines, method=method, body=body)

    async def write(
        self, target: str, key: str, body: bytes = b"", *lines: str, method: str = "POST", seconds: float = 10.0
    ) -> WireAnswer:
        return await self.shop.gateway.ask(self.raw(target, key, body, *lines, method=method), method, seconds)

    async def outcome(self, target: str, key: str, body: bytes = b"", seconds: float = 15.0) -> WireAnswer:
        """The answer to a repeat, asked again while the first request runs."""
        deadline = time.monotonic() + seconds
        while True:
            answer = await self.write(target, key, body)
            if b"still_running" not in answer.body:
                return answer
            assert time.monotonic() < deadline
            await asyncio.sleep(0.05)

    def executed(self, target: str) -> list[Recorded]:
        """What the upstream saw of a target."""
        return self.shop.upstream.since(0, target.split("/", 2)[2])

    async def ended(self, number: int, seconds: float = 10.0) -> list[tuple[str, int, int]]:
        """The rows of requests that were not refused, once there are so many."""
        deadline = time.monotonic() + seconds
        while len(found := [row for row in await self.rows(0) if row[0] != "refused"]) < number:
            assert time.monotonic() < deadline, found
            await asyncio.sleep(0.02)
        return found

    async def stored(self) -> list[tuple[str, int | None]]:
        """State and status of each key, oldest first."""
        query = "select state, status from idempotent_request where organization_id = $1 order by created_at, id"
        return [tuple(row) for row in await self.shop.pool.fetch(query, self.id)]

    async def nothing_stored(self, seconds: float = 10.0) -> None:
        deadline = time.monotonic() + seconds
        while found := await self.stored():
            assert time.monotonic() < deadline, found
            await asyncio.sleep(0.02)


async def furnish(connection: Any, port: int, **columns: Any) -> None:
    """Services `success` and `response`, each with priced, reserved, free and not replaying operations."""
    for policy in ("success", "response"):
        for slug, to in ((policy, port), (f"gone-{policy}", free_port())):
            await make_service(connection, slug, f"/{slug}", to, charge_on=policy, connect_timeout_ms=1_000, **columns)
            for name, pattern, price, reserved in (
                ("priced", "/*", PRICE, False), ("reserved", "/reserved/*", RESERVED, True),
                ("free", "/free/*", 0, False), ("single", "/single/*", PRICE, False),
            ):  # fmt: skip
                await operations.create(
                    connection, service_slug=slug, method="*", path_pattern=pattern, name=name, price_micro=price,
                    reserved=reserved, replays=name != "single",
                )  # fmt: skip


@pytest.fixture(scope="package", params=BOTH)
async def shop(
    server_urls: tuple[str, str], redis_url: str, worker_number: int, request: pytest.FixtureRequest
) -> AsyncIterator[Shop]:
    url = in_own_thread(lambda: copy_template(server_urls[0], f"replays_{request.param}_{worker_number}"))
    upstream = RecordingUpstream().start()
    async with asyncpg.create_pool(url, min_size=1, max_size=4) as pool:
        async with pool.acquire() as connection:
            await furnish(connection, upstream.port, first_byte_timeout_ms=5_000, max_body_bytes=1_000_000)
        async with running_gateway(
            url, redis_url, GATEWAY_DOOR=request.param, GATEWAY_REPLAY_MAX_BYTES=str(MOST_KEPT)
        ) as gateway:
            yield Shop(gateway, upstream, pool, url)
    upstream.stop()


async def new_caller(shop: Shop, micro: int = 5 * CREDITS) -> Caller:
    buyer = await shop.buyer(micro)
    return Caller(shop, buyer.tenant)


@pytest.fixture
async def caller(shop: Shop) -> Caller:
    return await new_caller(shop)
