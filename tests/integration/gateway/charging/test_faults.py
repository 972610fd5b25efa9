"""Spending while something breaks: a worker's time is up, it is killed, the database goes away, a neighbour runs dry."""

import asyncio
import os
import signal
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import asyncpg
import pytest

from loadtests.processes import worker_pids
from tests.conftest import copy_template, in_own_thread
from tests.deadlines import until
from tests.doors import BOTH
from tests.gateways import free_port, running_gateway
from tests.integration.domain.conftest import address_of, dsn_through
from tests.integration.domain.credits.accounts import bonus, posted
from tests.integration.gateway.charging.conftest import CREDITS, PRICE, RESERVED, Buyer, Shop, furnish
from tests.integration.gateway.charging.test_charge_table import CHUNKED, HANDSHAKE, KEY, accept_of, scripted
from tests.wire.fault_proxy import FaultProxy
from tests.wire.raw_client import RawClient
from tests.wire.upstream import RecordingUpstream, Script

pytestmark = pytest.mark.timeout(150)
ENDLESS = Script(CHUNKED + b"3\r\none\r\n", delay_ms=60_000)
SWITCHING = Script(
    b"HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Accept: "
    + accept_of(KEY.encode())
    + b"\r\n\r\nhello",
    delay_ms=60_000,
)


@pytest.fixture(scope="module")
def shop_url(server_urls: tuple[str, str], worker_number: int) -> str:
    return in_own_thread(lambda: copy_template(server_urls[0], f"shop_faults_{worker_number}"))


@asynccontextmanager
async def own_shop(
    url: str, redis_url: str, door: str, workers: int = 1, gateway_url: str = "", **settings: str
) -> AsyncIterator[Shop]:
    upstream = RecordingUpstream().start()
    async with asyncpg.create_pool(url, min_size=1, max_size=4) as pool:
        async with pool.acquire() as connection:
            await connection.execute("delete from operation")
            await connection.execute("delete from service")
            await furnish(connection, upstream.port, free_port())
            await connection.execute("update service set idle_timeout_ms = 30000, first_byte_timeout_ms = 30000")
        async with running_gateway(gateway_url or url, redis_url, workers, GATEWAY_DOOR=door, **settings) as gateway:
            yield Shop(gateway, upstream, pool, url)
    upstream.stop()


async def streaming(
    buyer: Buyer, policy: str, script: Script, *lines: str, mark: bytes = b"one", rest: str = ""
) -> RawClient:
    """A client whose answer has begun."""
    target = scripted(buyer, policy, f"{rest}s{len(lines)}", script)
    client = await RawClient.connect(buyer.shop.gateway.address)
    await client.send(buyer.shop.gateway.request(target, buyer.tenant.key, *lines))
    assert await client.until(lambda: mark in client.received, 10), client.received
    return client


@pytest.mark.parametrize("door", BOTH)
async def test_an_answer_that_our_own_end_cuts_is_cut_and_not_charged(shop_url: str, redis_url: str, door: str) -> None:
    async with own_shop(shop_url, redis_url, door, GATEWAY_SHUTDOWN_SECONDS="1") as shop:
        buyers = [await shop.buyer() for _ in range(4)]
        clients = [
            await streaming(buyer, policy, ENDLESS, rest=rest)
            for buyer, (policy, rest) in zip(
                buyers, ((policy, rest) for rest in ("", "metered/") for policy in ("success", "response")), strict=True
            )
        ]
        await shop.gateway.stop()
        assert await buyers[0].rows(1) == [("cut", 200, 0)]
        assert await buyers[1].rows(1) == [("cut", 200, PRICE)]
        delivered = CREDITS // 20 + 3 * CREDITS // 100
        assert [await buyer.rows(1) for buyer in buyers[2:]] == [[("cut", 200, delivered)]] * 2
        assert [(await buyer.at_rest())["usage"] for buyer in buyers] == [0, PRICE, delivered, delivered]
        for client in clients:
            await client.close()


@pytest.mark.parametrize("door", BOTH)
async def test_a_killed_worker_charges_what_its_cut_rows_say_and_holds_nothing(
    shop_url: str, redis_url: str, door: str
) -> None:
    async with own_shop(shop_url, redis_url, door) as shop:
        buyer = await shop.buyer()
        for _ in range(7):
            assert (await buyer.ask(buyer.target("success", "before"))).status == 200
        clients = [
            await streaming(buyer, "success", ENDLESS),
            await streaming(buyer, "response", ENDLESS),
            await streaming(buyer, "success", SWITCHING, *HANDSHAKE, mark=b"hello"),
            await streaming(buyer, "success", ENDLESS, rest="metered/"),
            await streaming(buyer, "response", ENDLESS, rest="metered/"),
        ]
        slow = buyer.target("success", "reserved/slow")
        shop.upstream.script(slow.removeprefix("/success"), Script(b"", delay_ms=60_000))
        waiting = await RawClient.connect(shop.gateway.address)
        await waiting.send(shop.gateway.request(slow, buyer.tenant.key))
        await until(lambda: shop.upstream.since(0, slow.removeprefix("/success")), what="the reserved request")
        assert (await buyer.account())["reserved"] == RESERVED
        (worker,) = worker_pids(shop.gateway.pid)
        os.kill(worker, signal.SIGKILL)
        rows = await buyer.rows(12)
        # Of what is metered, what was delivered is not written down yet.
        begun = CREDITS // 20
        assert sorted((status, cost) for outcome, status, cost in rows if outcome == "cut") == [
            (101, PRICE), (200, 0), (200, 0), (200, begun), (200, PRICE),
        ]  # fmt: skip
        rest = await buyer.at_rest()
        assert (rest["usage"], rest["balance"]) == (9 * PRICE + begun, 5 * CREDITS - 9 * PRICE - begun)
        for client in (*clients, waiting):
            await client.close()


@pytest.mark.parametrize("how", ["hung", "gone"])
async def test_the_database_goes_away_while_credits_are_spent(shop_url: str, redis_url: str, how: str) -> None:
    loop = asyncio.get_running_loop()
    async with FaultProxy(address_of(shop_url)) as proxy:
        own = dsn_through(proxy, shop_url)
        async with own_shop(shop_url, redis_url, "express", gateway_url=own) as shop:
            buyer, cold = await shop.buyer(100 * CREDITS), await shop.buyer()
            assert (await cold.ask("/success/free/known")).status == 200
            served = 0
            for _ in range(30):
                served += (await buyer.ask(buyer.target("success", "warm"))).status == 200
            assert served == 30
            if how == "hung":
                proxy.to_client.hold()
                proxy.to_server.hold()
            else:
                proxy.refuse = True
                proxy.reset_all()
            first = await buyer.ask(buyer.target("success", "leased"))
            statuses = [first.status]
            begun = loop.time()
            refused = await cold.ask(cold.target("success", "cold"))
            assert loop.time() - begun < 4
            assert (refused.status, refused.values("retry-after")) == (503, ["1"])
            assert b"cannot_decide" in refused.body
            for _ in range(5):
                statuses.append((await buyer.ask(buyer.target("success", "leased"))).status)
            assert set(statuses) <= {200, 503}
            assert first.status == 200
            proxy.refuse = False
            proxy.to_client.release()
            proxy.to_server.release()
            proxy.reset_all()
            async with asyncio.timeout(20):
                while (await cold.ask(cold.target("success", "cold"))).status != 200:
                    await asyncio.sleep(0.1)
            charged = served + statuses.count(200)
            await buyer.rows(30 + len(statuses), 20)
            rest = await buyer.at_rest(30)
            assert rest["usage"] == charged * PRICE
            assert sum(record.state == "whole" for record in shop.upstream.since(0, buyer.tenant.slug)) == charged
            assert (await cold.at_rest(30))["usage"] == PRICE


async def test_one_tenant_that_runs_dry_touches_no_other(shop_url: str, redis_url: str) -> None:
    async with own_shop(shop_url, redis_url, "express", workers=2) as shop:
        poor, rich = await shop.buyer(5 * PRICE), await shop.buyer(50 * CREDITS)

        async def hammer() -> list[int]:
            return [(await poor.ask(poor.target("success", "x"))).status for _ in range(20)]

        async def buy() -> list[int]:
            return [(await rich.ask(rich.target("success", "x"))).status for _ in range(20)]

        answers = await asyncio.gather(*(hammer() for _ in range(4)), *(buy() for _ in range(4)))
        assert sum(statuses.count(200) for statuses in answers[:4]) == 5
        assert {status for statuses in answers[4:] for status in statuses} == {200}
        async with shop.pool.acquire() as connection:
            await posted(connection, bonus(poor.id, PRICE))
        await poor.rows(80)
        await rich.rows(80)
        assert (await poor.at_rest())["balance"] == PRICE
        assert (await rich.at_rest())["balance"] == 50 * CREDITS - 80 * PRICE


async def test_readiness_and_metrics_tell_of_leases(shop_url: str, redis_url: str) -> None:
    async with own_shop(shop_url, redis_url, "express") as shop:
        buyer = await shop.buyer()
        assert (await buyer.ask(buyer.target("success", "x"))).status == 200
        ready = await shop.gateway.ask(shop.gateway.request("/ready", ""))
        assert b'"credits":{"ok":true' in ready.body
        assert Path(shop.gateway.log_file).exists()
        async with asyncio.timeout(10):
            while b"paid_endpoint_credit_lease_calls_total 0.0" in (text := await _metrics(shop)) or not text:
                await asyncio.sleep(0.1)
        assert b"paid_endpoint_ledger_away 0.0" in text


async def _metrics(shop: Shop) -> bytes:
    async with await RawClient.connect(shop.gateway.internal_address) as client:
        await client.send(b"GET /metrics HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\n\r\n")
        await client.ended(5)
        return bytes(client.received)
