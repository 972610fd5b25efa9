"""PostgreSQL does not answer: nothing runs that could have run before, and what ran is kept later."""

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from urllib.parse import urlsplit

import asyncpg
import pytest

from domain import keys, organizations, plans
from domain.limit_texts import LimitSpec
from tests.deadlines import until
from tests.gateways import Tenant, key_settings, running_gateway
from tests.integration.gateway.charging.conftest import PRICE, Shop
from tests.integration.gateway.replaying.conftest import Caller, furnish, new_caller
from tests.integration.gateway.replaying.test_repeats import WHOLE, code, scripted
from tests.wire.fault_proxy import FaultProxy
from tests.wire.raw_client import RawClient
from tests.wire.upstream import RecordingUpstream, Script


@asynccontextmanager
async def behind_a_proxy(url: str, redis_url: str, door: str) -> AsyncIterator[tuple[Shop, FaultProxy]]:
    parts = urlsplit(url)
    upstream = RecordingUpstream().start()
    async with (
        FaultProxy((parts.hostname or "", parts.port or 0)) as proxy,
        asyncpg.create_pool(url, min_size=1, max_size=2) as pool,
    ):
        async with pool.acquire() as connection:
            await furnish(connection, upstream.port)
        proxied = url.replace(f":{parts.port}/", f":{proxy.address[1]}/")
        async with running_gateway(proxied, redis_url, GATEWAY_DOOR=door) as gateway:
            yield Shop(gateway, upstream, pool, url), proxy
    upstream.stop()


@pytest.mark.parametrize("door", ["express", "plain"])
async def test_without_an_answer_nothing_runs(fresh_database_url: str, redis_url: str, door: str) -> None:
    async with behind_a_proxy(fresh_database_url, redis_url, door) as (shop, proxy):
        caller = await new_caller(shop)
        target, key = caller.target("success", "away"), caller.new_key()
        done = caller.target("success", "done")
        first = await caller.write(done, "done", b"1")
        assert first.status == 200
        proxy.to_server.hold()
        for _ in range(2):
            for where, named in ((target, key), (done, "done")):
                answer = await caller.write(where, named, b"1")
                assert (answer.status, code(answer)) == (503, "cannot_decide")
        assert (await caller.write(caller.target("success", "single/x"), "", b"1")).status in {200, 503}
        assert caller.executed(target) == []
        proxy.to_server.release()
        again = await _answered(caller, target, key)
        assert again.status == 200
        assert len(caller.executed(target)) == 1
        assert (await caller.write(done, "done", b"1")).body == first.body
        assert len(caller.executed(done)) == 1


@pytest.mark.parametrize("door", ["express", "plain"])
async def test_an_outcome_that_cannot_be_kept_now_is_kept_later(
    fresh_database_url: str, redis_url: str, door: str
) -> None:
    async with behind_a_proxy(fresh_database_url, redis_url, door) as (shop, proxy):
        caller = await new_caller(shop)
        target = scripted(caller, "late", Script(b"", delay_ms=300, late=WHOLE))
        key = caller.new_key()
        asking = asyncio.ensure_future(caller.write(target, key, b"1"))
        await until(lambda: caller.executed(target), what="the request")
        proxy.to_server.hold()
        first = await asking
        assert (first.status, first.body) == (201, b"m\x00\xffe")
        assert await caller.stored() == [("running", None)]
        answer = await caller.write(target, key, b"1")
        assert answer.status == 503
        proxy.to_server.release()
        again = await _answered(caller, target, key)
        assert (again.status, again.body, again.values("idempotency-replayed")) == (201, first.body, ["true"])
        assert len(caller.executed(target)) == 1
        assert (await caller.at_rest())["usage"] == PRICE


async def test_a_client_that_leaves_meanwhile_gives_its_slot_back_once(fresh_database_url: str, redis_url: str) -> None:
    async with behind_a_proxy(fresh_database_url, redis_url, "express") as (shop, proxy):
        async with shop.pool.acquire() as connection:
            await plans.create(connection, slug="one", limits=[LimitSpec("concurrent", 1, "concurrent")])
            made = await organizations.create(connection, name="one", plan_slug="one", slug="one")
            key = await keys.create(connection, key_settings(), organization_id=made.id, name="one")
        caller = Caller(shop, Tenant(made.id, "one", key.record.id, key.plaintext))
        slow = scripted(caller, "free/slow", Script(b"", delay_ms=700, late=WHOLE))
        quick = caller.target("success", "free/quick")
        assert (await caller.write(quick, "first", b"1")).status == 200
        proxy.to_server.hold()
        async with await RawClient.connect(shop.gateway.address) as client:
            await client.send(caller.raw(slow, "left", b"1"))
            assert not await client.until(lambda: client.received, 0.2)
            await client.reset()
        # Its claim is given up before this one is.
        assert (await caller.write(quick, "second", b"1")).status == 503
        proxy.to_server.release()
        assert (await _answered(caller, quick, "third")).status == 200
        answers = await asyncio.gather(*(caller.write(slow, "", b"1") for _ in range(3)))
        assert sorted(answer.status for answer in answers) == [201, 429, 429]


async def _answered(caller, target: str, key: str, seconds: float = 20.0):
    deadline = time.monotonic() + seconds
    while True:
        answer = await caller.outcome(target, key, b"1", seconds)
        if answer.status != 503:
            return answer
        assert time.monotonic() < deadline
        await asyncio.sleep(0.1)
