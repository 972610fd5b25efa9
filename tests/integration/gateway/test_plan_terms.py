"""What customers bought, as callers see it: pinned terms, overrides and trials that end by themselves, minimum plans."""

import asyncio
import time
from collections.abc import AsyncIterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from domain import keys, limit_overrides, operations, organizations, plans, subscriptions
from domain.limit_texts import parse_limits
from domain.renewals import settle_due
from tests.conftest import copy_template, in_own_thread
from tests.doors import DOORS
from tests.gateways import RunningGateway, connected, key_settings, make_service, running_gateway
from tests.subscriptions import fresh
from tests.wire.upstream import RecordingUpstream

WARM = 4
"""The same request so often is known, and served as known."""
SECONDS = 10.0


@dataclass(frozen=True)
class Shop:
    """A gateway over a database in which time is moved, with a priced plan of each test's own."""

    gateway: RunningGateway
    connection: Any

    async def plan(self, *limits: str, **values: Any) -> plans.PlanRecord:
        """A new plan."""
        return await plans.create(self.connection, slug=fresh("plan"), limits=parse_limits(limits), **values)

    async def customer(self, plan: plans.PlanRecord) -> tuple[Any, str]:
        """A new organization and its key."""
        made = await organizations.create(self.connection, name=fresh("org"), plan_slug=plan.slug)
        key = await keys.create(self.connection, key_settings(), organization_id=made.id, name="key")
        return made.id, key.plaintext

    async def ask(self, key: str, target: str = "/shop/x") -> Any:
        """One answer."""
        return await self.gateway.ask(self.gateway.request(target, key))

    async def hourly(self, key: str) -> int:
        """The amount of the limit `hour`, as the answer tells."""
        answer = await self.ask(key)
        assert answer.status in {200, 429}
        return int(answer.first("ratelimit-policy").partition("q=")[2].partition(";")[0])

    async def until_hourly(self, key: str, amount: int) -> None:
        """Poll until the limit is that."""
        deadline = time.monotonic() + SECONDS
        while await self.hourly(key) != amount:
            assert time.monotonic() < deadline
            await asyncio.sleep(0.01)


@pytest.fixture(scope="module", params=DOORS)
async def shop(
    request: pytest.FixtureRequest, server_urls: tuple[str, str], redis_url: str, worker_number: int
) -> AsyncIterator[Shop]:
    """One worker."""
    url = in_own_thread(lambda: copy_template(server_urls[0], f"shop_{worker_number}"))
    upstream = RecordingUpstream().start()
    async with connected(url) as connection:
        service_id = await make_service(connection, "shop", "/shop", upstream.port)
        assert service_id
        async with running_gateway(url, redis_url, GATEWAY_DOOR=request.param) as gateway:
            yield Shop(gateway, connection)
    upstream.stop()


async def test_who_bought_1000_keeps_it_until_the_period_ends(shop: Shop) -> None:
    plan = await shop.plan("1000/hour")
    old_id, old = await shop.customer(plan)
    assert [await shop.hourly(old) for _ in range(WARM)] == [1000] * WARM
    await plans.change(shop.connection, plan.slug, limits=parse_limits(["10/hour"]))
    _, new = await shop.customer(plan)
    await shop.until_hourly(new, 10)
    # The catalog has the edit. A dozen requests: more than the new terms admit, counted with those before.
    assert {(await shop.ask(old)).status for _ in range(12)} == {200}
    assert await shop.hourly(old) == 1000
    deadline = time.monotonic() + SECONDS
    while (await shop.ask(new)).status != 429:
        assert time.monotonic() < deadline
    end = await shop.connection.fetchval("select period_end from subscription where organization_id = $1", old_id)
    await settle_due(shop.connection, now=end, most=100_000)
    await shop.until_hourly(old, 10)
    # What was counted stays counted, under the same limit; what the worker had in advance goes back.
    while (await shop.ask(old)).status != 429:
        assert time.monotonic() < deadline


async def test_now_is_for_everybody(shop: Shop) -> None:
    plan = await shop.plan("1000/hour")
    _, key = await shop.customer(plan)
    assert await shop.hourly(key) == 1000
    await plans.change(shop.connection, plan.slug, limits=parse_limits(["500/hour"]), at_once=True)
    await shop.until_hourly(key, 500)


async def test_an_override_ends_by_itself_on_a_known_head(shop: Shop) -> None:
    plan = await shop.plan("1000000/hour")
    organization_id, key = await shop.customer(plan)
    assert await shop.hourly(key) == 1_000_000
    end = datetime.now(UTC) + timedelta(seconds=5)
    await limit_overrides.override_limit(shop.connection, organization_id, "hour", amount=777_777, until=end)
    await shop.until_hourly(key, 777_777)
    last_seen = 0.0
    while True:
        asked = time.time()
        amount = await shop.hourly(key)
        if amount == 1_000_000:
            break
        assert amount == 777_777
        last_seen = asked
        assert asked < end.timestamp() + SECONDS
    assert time.time() >= end.timestamp()
    assert last_seen < end.timestamp() + 1


@pytest.mark.parametrize("what", ["trial", "cancel_at", "grace"])
async def test_access_ends_by_time_alone_on_a_known_head(shop: Shop, what: str) -> None:
    plan = await shop.plan("1000000/hour", price_cents=100)
    organization_id, key = await shop.customer(plan)
    end = datetime.now(UTC) + timedelta(seconds=5)
    assignments = {
        "trial": "state = 'trialing', trial_ends_at = $2",
        "cancel_at": "cancel_at = $2",
        "grace": "state = 'past_due', grace_until = $2",
    }
    await shop.connection.execute(
        f"update subscription set {assignments[what]} where organization_id = $1", organization_id, end
    )
    assert (await shop.ask(key)).status == 200
    while True:
        asked = time.time()
        answer = await shop.ask(key)
        if answer.status == 403:
            break
        assert answer.status == 200
        assert asked < end.timestamp() + 1
    assert time.time() >= end.timestamp()
    assert b'"no_subscription"' in answer.body
    usage = await shop.ask(key, "/user/usage")
    assert usage.status == 403
    # Paid, it is served again.
    await settle_due(shop.connection, now=end)
    await subscriptions.reactivate(shop.connection, organization_id)
    deadline = time.monotonic() + SECONDS
    while (await shop.ask(key)).status != 200:
        assert time.monotonic() < deadline


async def test_an_operation_may_need_a_higher_plan_than_its_service(shop: Shop) -> None:
    low, high = await shop.plan("1000/hour", sort_order=1), await shop.plan("1000/hour", sort_order=2)
    name = fresh("dear")
    made = await operations.create(
        shop.connection, service_slug="shop", method="GET", path_pattern=f"/{name}", name=name, minimum_plan=high.slug
    )
    assert made.minimum_plan == high.slug
    organization_id, key = await shop.customer(low)
    deadline = time.monotonic() + SECONDS
    while (answer := await shop.ask(key, f"/shop/{name}")).status == 200:
        assert time.monotonic() < deadline
    assert answer.status == 403
    assert b'"plan_too_low"' in answer.body
    assert f'"required_plan": "{high.slug}"'.encode() in answer.body.replace(b'":"', b'": "')
    assert (await shop.ask(key, "/shop/other")).status == 200
    await subscriptions.change_plan(shop.connection, organization_id, high.slug)
    while (await shop.ask(key, f"/shop/{name}")).status != 200:
        assert time.monotonic() < deadline
    await operations.change(shop.connection, made.id, minimum_plan="")


async def test_a_trial_of_calls_admits_so_many(shop: Shop) -> None:
    plan = await shop.plan("1000/hour", trial_calls=5, trial_days=7)
    organization_id, key = await shop.customer(plan)
    await shop.connection.execute(
        "update subscription set state = 'trialing', period_end = now() + interval '7 days',"
        " trial_ends_at = now() + interval '7 days' where organization_id = $1",
        organization_id,
    )
    statuses = [(await shop.ask(key)).status for _ in range(8)]
    assert statuses == [200] * 5 + [429] * 3
