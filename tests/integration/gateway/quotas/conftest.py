"""A service whose operations take 1, 4 and 0 units and cost credits, one whose upstream is gone, and customers on plans."""

import asyncio
import json
import secrets
import time
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from typing import Any
from uuid import UUID

import pytest

from domain import keys, organizations, plans
from domain.limit_texts import parse_limits
from tests.gateways import RunningGateway, connected, free_port, key_settings, make_service
from tests.integration.domain.credits.accounts import bonus, posted
from tests.integration.gateway.conftest import World
from tests.wire.answers import WireAnswer
from tests.wire.upstream import RecordingUpstream

CREDIT = 1_000_000
OPERATIONS = (
    ("cheap", "/cheap/*", 1, CREDIT // 10, False),
    ("dear", "/dear/*", 4, CREDIT, False),
    ("free", "/free/*", 0, 0, False),
    ("reserved", "/reserved/*", 1, CREDIT, True),
)
"""Name, path, units, micro-credits, whether they are reserved. What is none of them takes one unit and costs nothing."""


@dataclass
class Buyer:
    """A customer with one key."""

    market: "Market"
    organization_id: UUID
    slug: str
    key_id: UUID
    key: str

    async def ask(self, target: str) -> WireAnswer:
        gateway = self.market.gateway
        return await gateway.ask(gateway.request(target, self.key))

    async def statuses(self, *targets: str) -> list[int]:
        return [(await self.ask(target)).status for target in targets]

    async def usage(self) -> Any:
        return json.loads((await self.ask("/user/usage")).body)

    async def usage_when(self, holds: Callable[[Any], bool], seconds: float = 10.0) -> Any:
        """What `/user/usage` says once it is as wished: the rollups are a moment behind."""
        deadline = time.monotonic() + seconds
        while not holds(found := await self.usage()):
            assert time.monotonic() < deadline, found
            await asyncio.sleep(0.02)
        return found

    async def ask_until(self, target: str, holds: Callable[[WireAnswer], bool], seconds: float = 1.0) -> WireAnswer:
        """Ask until the answer is as wished; a change has one second to arrive (G4)."""
        deadline = time.monotonic() + seconds
        while not holds(answer := await self.ask(target)):
            assert time.monotonic() < deadline, answer
        return answer


@dataclass
class Market:
    gateway: RunningGateway
    upstream: RecordingUpstream
    connection: Any
    shop: str
    gone: str

    async def buyer(
        self, *quotas: str, limits: tuple[str, ...] = (), billing_mode: str = "quota", **terms: Any
    ) -> Buyer:
        """On a plan of its own; `terms`: overage; credits, and spend caps of its organization by period, in micro-credits."""
        slug = f"q-{secrets.token_hex(5)}"
        async with self.connection.transaction():
            await plans.create(self.connection, slug=slug, limits=parse_limits(limits or ["1000000/hour"], [], quotas))
            overage = terms.get("overage", "block")
            await self.connection.execute("update plan set overage = $2 where slug = $1", slug, overage)
        made = await organizations.create(self.connection, name=slug, plan_slug=slug, slug=slug)
        await self.connection.execute(
            "update organization set billing_mode = $2, spend_cap_day_micro = $3, spend_cap_month_micro = $4 where id = $1",
            made.id, billing_mode, terms.get("day"), terms.get("month"),
        )  # fmt: skip
        await posted(self.connection, bonus(made.id, terms.get("credits", 1_000 * CREDIT)))
        key = await keys.create(
            self.connection, key_settings(), organization_id=made.id, name="k", spend_caps=terms.get("key_caps")
        )
        return Buyer(self, made.id, slug, key.record.id, key.plaintext)


@pytest.fixture
async def market(world: World, gateway: RunningGateway) -> AsyncIterator[Market]:
    tag = secrets.token_hex(4)
    shop, gone = f"shop-{tag}", f"gone-{tag}"
    async with connected(world.database_url) as connection:
        for slug, port in ((shop, world.upstream.port), (gone, free_port())):
            async with connection.transaction():
                service = await make_service(connection, slug, f"/{slug}", port)
                for operation in OPERATIONS:
                    await connection.execute(
                        "insert into operation (service_id, name, method, path_pattern, quota_cost, price_micro, reserved)"
                        " values ($1, $2, '*', $3, $4, $5, $6)",
                        service, *operation,
                    )  # fmt: skip
            await gateway.serves(f"/{slug}/x")
        yield Market(gateway, world.upstream, connection, shop, gone)
