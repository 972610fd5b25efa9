"""The published table with a real upstream, row by row, on both policies: what is stored, and what the ledger says."""

import asyncio
import json
from collections.abc import Callable

import pytest

from gateway.upstream.websocket import accept_of
from tests.deadlines import until
from tests.integration.gateway.charging.conftest import CREDITS, PRICE, RESERVED, Buyer, Shop
from tests.wire.raw_client import RawClient
from tests.wire.upstream import Script

BOTH_POLICIES = pytest.mark.parametrize("policy", ["success", "response"])
CHUNKED = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
KEY = "dGhlIHNhbXBsZSBub25jZQ=="
HANDSHAKE = ("Connection: Upgrade", "Upgrade: websocket", "Sec-WebSocket-Version: 13", f"Sec-WebSocket-Key: {KEY}")


def whole(status: str, *lines: str) -> bytes:
    return "\r\n".join([f"HTTP/1.1 {status}", "Content-Length: 2", *lines, "", "ok"]).encode()


def scripted(buyer: Buyer, policy: str, rest: str, script: Script) -> str:
    target = buyer.target(policy, rest)
    buyer.shop.upstream.script(target.removeprefix(f"/{policy}"), script)
    return target


@BOTH_POLICIES
@pytest.mark.parametrize(
    ("status", "on_success"),
    [("200 OK", True), ("302 Found", True), ("404 Not Found", False), ("503 Service Unavailable", False)],
)
async def test_a_whole_answer(buyer: Buyer, policy: str, status: str, on_success: bool) -> None:
    target = scripted(buyer, policy, "whole", Script(whole(status)))
    charged = policy == "response" or on_success
    for _ in range(3):
        answer = await buyer.ask(target)
        assert answer.status == int(status[:3])
        assert answer.values("x-credits-charged") == ["0.1" if charged else "0"]
    assert await buyer.rows(3) == [("served", int(status[:3]), PRICE if charged else 0)] * 3
    assert await buyer.spent(3) == (3 * PRICE if charged else 0)


@BOTH_POLICIES
async def test_no_connection(buyer: Buyer, policy: str) -> None:
    answer = await buyer.ask(f"/gone-{policy}/x")
    assert (answer.status, answer.values("x-credits-charged")) == (502, ["0"])
    assert await buyer.rows(1) == [("failed", 502, 0)]
    assert await buyer.spent(1) == 0


@BOTH_POLICIES
async def test_no_answer_in_time(buyer: Buyer, policy: str) -> None:
    target = scripted(buyer, policy, "slow", Script(b"", delay_ms=3_000))
    answer = await buyer.ask(target)
    assert (answer.status, answer.values("x-credits-charged")) == (504, ["0"])
    assert await buyer.rows(1) == [("failed", 504, 0)]
    assert await buyer.spent(1) == 0


@BOTH_POLICIES
@pytest.mark.parametrize(
    "script",
    [
        Script(CHUNKED + b"3\r\none\r\n", reset=True),
        Script(CHUNKED + b"3\r\none\r\n", delay_ms=3_000),
        Script(CHUNKED, delay_ms=50, late=b"broken\r\n", close=True),
        Script(b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nhalf", close=True),
    ],
    ids=["reset", "idle", "broken", "short"],
)
async def test_an_answer_that_is_cut(buyer: Buyer, policy: str, script: Script) -> None:
    target = scripted(buyer, policy, "cut", script)
    async with await RawClient.connect(buyer.shop.gateway.address) as client:
        await client.send(buyer.shop.gateway.request(target, buyer.tenant.key))
        assert await client.ended(10)
    charged = PRICE if policy == "response" else 0
    assert await buyer.rows(1) == [("cut", 200, charged)]
    assert await buyer.spent(1) == charged


@BOTH_POLICIES
async def test_an_answer_that_is_none(buyer: Buyer, policy: str) -> None:
    answer = await buyer.ask(scripted(buyer, policy, "garbage", Script(b"HTTP/9 what\r\n\r\n", close=True)))
    assert answer.status == 502
    assert await buyer.spent(1) == 0


POINTS: dict[str, tuple[Script, Callable[[RawClient], bool], bool]] = {
    "before the upstream answers": (Script(b"", delay_ms=600), lambda client: True, False),
    "behind the head": (Script(CHUNKED, delay_ms=600), lambda client: b"\r\n\r\n" in client.received, True),
    "after one piece": (
        Script(CHUNKED + b"3\r\none\r\n", delay_ms=600),
        lambda client: b"one" in client.received,
        True,
    ),
    "in the middle of a piece": (
        Script(CHUNKED + b"40\r\n" + b"x" * 20, delay_ms=600),
        lambda client: b"x" * 20 in client.received,
        True,
    ),
    "before the last byte": (
        Script(CHUNKED + b"3\r\none\r\n3\r\ntwo\r\n", delay_ms=600),
        lambda client: b"two" in client.received,
        True,
    ),
}


@BOTH_POLICIES
@pytest.mark.parametrize("point", POINTS)
async def test_a_client_that_leaves(buyer: Buyer, policy: str, point: str) -> None:
    script, there, charged = POINTS[point]
    target = scripted(buyer, policy, "left", script)
    async with await RawClient.connect(buyer.shop.gateway.address) as client:
        await client.send(buyer.shop.gateway.request(target, buyer.tenant.key))
        await until(lambda: buyer.shop.upstream.since(0, target.removeprefix(f"/{policy}")), what="the request")
        assert await client.until(lambda: there(client), 5)
    ((outcome, _, cost),) = await buyer.rows(1)
    assert (outcome, cost) == ("gone", PRICE if charged else 0)
    assert await buyer.spent(1) == (PRICE if charged else 0)


@BOTH_POLICIES
async def test_a_request_that_is_sent_once_more_is_charged_once(buyer: Buyer, policy: str) -> None:
    seen: list[int] = []

    def first_lost(record: object) -> bytes:
        seen.append(1)
        return b"" if len(seen) == 2 else whole("200 OK")

    target = buyer.target(policy, "retry")
    rest = target.removeprefix(f"/{policy}")
    # The second request comes on the connection of the first, which the upstream closes without an answer.
    buyer.shop.upstream.script(rest, Script(first_lost))
    assert (await buyer.ask(target)).status == 200
    buyer.shop.upstream.script(rest, Script(first_lost, close=True))
    assert (await buyer.ask(target)).status == 200
    assert len(seen) == 3
    assert await buyer.rows(2) == [("served", 200, PRICE)] * 2
    assert await buyer.spent(2) == 2 * PRICE


@BOTH_POLICIES
async def test_a_websocket_costs_its_price_when_it_begins(buyer: Buyer, policy: str) -> None:
    switching = (
        b"HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Accept: "
        + accept_of(KEY.encode())
        + b"\r\n\r\n"
    )
    target = scripted(buyer, policy, "socket", Script(switching, delay_ms=300, close=True))
    async with await RawClient.connect(buyer.shop.gateway.address) as client:
        await client.send(buyer.shop.gateway.request(target, buyer.tenant.key, *HANDSHAKE))
        assert await client.until(lambda: b"\r\n\r\n" in client.received, 5)
        assert b"x-credits-charged: 0.1\r\n" in client.received
    assert await buyer.rows(1) == [("served", 101, PRICE)]
    assert await buyer.spent(1) == PRICE


@BOTH_POLICIES
@pytest.mark.parametrize(
    ("lines", "cost"),
    [
        ((), RESERVED),
        (("X-PE-Cost: 0.25",), CREDITS // 4),
        (("X-PE-Cost: 0",), 0),
        (("X-PE-Cost: 1",), RESERVED),
        (("X-PE-Cost: 1.5",), RESERVED),
        (("X-PE-Cost: much",), RESERVED),
        (("X-PE-Cost: 0.1", "X-PE-Cost: 0.2"), RESERVED),
    ],
)
async def test_a_reserved_request_costs_what_its_upstream_says_within_what_is_held(
    buyer: Buyer, policy: str, lines: tuple[str, ...], cost: int
) -> None:
    answer = await buyer.ask(scripted(buyer, policy, "reserved/x", Script(whole("200 OK", *lines))))
    assert answer.values("x-pe-cost") == []
    assert [float(text) for text in answer.values("x-credits-charged")] == [cost / CREDITS]
    assert await buyer.rows(1) == [("served", 200, cost)]
    assert await buyer.spent(1) == cost
    state, settled = await buyer.shop.pool.fetchrow(
        "select state, settled_micro from credit_reservation where organization_id = $1", buyer.id
    )
    assert (state, settled) == ("settled" if cost else "released", cost)


@BOTH_POLICIES
async def test_a_reserved_request_that_fails_releases_what_is_held(buyer: Buyer, policy: str) -> None:
    target = f"/gone-{policy}/reserved/x"
    assert (await buyer.ask(target)).status == 502
    assert await buyer.spent(1) == 0
    query = "select state from credit_reservation where organization_id = $1"
    assert await buyer.shop.pool.fetchval(query, buyer.id) == "released"


async def test_a_reservation_calls_back_what_the_wallets_hold(shop: Shop) -> None:
    buyer = await shop.buyer(RESERVED + PRICE)
    assert (await buyer.ask(buyer.target("success", "first"))).status == 200
    assert (await buyer.ask(buyer.target("success", "reserved/all"))).status == 200
    assert (await buyer.ask(buyer.target("success", "more"))).status == 402
    assert (await buyer.ask(buyer.target("success", "reserved/more"))).status == 402
    assert await buyer.spent(4) == RESERVED + PRICE


async def test_a_client_that_leaves_while_it_waits_for_credits_is_not_charged(shop: Shop, buyer: Buyer) -> None:
    async def waiting() -> int:
        return json.loads((await shop.gateway.ask(shop.gateway.request("/ready", ""))).body)["journal"]["open"]

    assert (await buyer.ask("/success/free/x")).status == 200  # the key is known
    async with shop.pool.acquire() as connection, connection.transaction():
        await connection.execute("select from credit_account where organization_id = $1 for update", buyer.id)
        for rest in ("wait", "reserved/wait"):
            async with await RawClient.connect(shop.gateway.address) as client:
                await client.send(shop.gateway.request(buyer.target("success", rest), buyer.tenant.key))
                async with asyncio.timeout(10):
                    while not await waiting():
                        await asyncio.sleep(0.01)
                await client.reset()
    rows = await buyer.rows(3)
    assert [(outcome, cost) for outcome, _, cost in rows[1:]] == [("gone", 0)] * 2
    rest = await buyer.at_rest()
    assert (rest["usage"], rest["balance"]) == (0, 5 * CREDITS)
