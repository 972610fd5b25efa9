"""What is metered is paid as far as it was delivered: the published table, row by row, through both doors, on both policies."""

import json
from collections.abc import Callable

import pytest

from domain import operations
from domain.faults import InvalidValue
from tests.deadlines import until
from tests.gateways import make_service
from tests.integration.gateway.charging.conftest import CREDITS, PRICE, Buyer, Shop
from tests.integration.gateway.charging.test_charge_table import (
    BOTH_POLICIES,
    CHUNKED,
    HANDSHAKE,
    KEY,
    scripted,
    whole,
)
from tests.integration.gateway.charging.test_formulas import WARM
from tests.wire.raw_client import RawClient
from tests.wire.upstream import Script

EVENT = b"data: x\n\n"
STREAM = b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream; charset=utf-8\r\nTransfer-Encoding: chunked\r\n\r\n"
LAST = b"0\r\n\r\n"
FORMULAS = {
    "bytes": ("/bytes/*", "0.001 * answer.bytes", False),
    "based": ("/based/*", "0.05 + 0.001 * answer.bytes", False),
    "events": ("/events/*", "0.01 * answer.events", False),
    "any": ("/any/*", "0.01 * answer.events ? 3", False),
    "held": ("/held/*", "0.01 * answer.events + 0.001 * query.n ? 0 * answer.bytes", True),
    "fixed": ("/fixed/*", "", True),
}


@pytest.fixture(scope="module")
async def metered(shop: Shop) -> None:
    """Services `metered-*`, whose operations cost at most one credit; the gateway knows them."""
    async with shop.pool.acquire() as connection:
        for policy in ("success", "response"):
            slug = f"metered-{policy}"
            await make_service(
                connection, slug, f"/{slug}", shop.upstream.port, charge_on=policy, first_byte_timeout_ms=700,
                idle_timeout_ms=700,
            )  # fmt: skip
            for name, (pattern, formula, reserved) in FORMULAS.items():
                await operations.create(
                    connection, service_slug=slug, method="*", path_pattern=pattern, name=name, price_micro=CREDITS,
                    reserved=reserved, cost_formula=formula,
                )  # fmt: skip
    await shop.gateway.serves("/metered-response")
    probe = await shop.buyer(100 * CREDITS)
    for policy in ("success", "response"):
        for name in FORMULAS:
            await until_known(probe, f"/metered-{policy}/{name}/x")


async def until_known(probe: Buyer, target: str) -> None:
    for _ in range(500):
        answer = await probe.ask(target)
        if answer.values("x-credits-at-most") or answer.values("x-credits-charged"):
            return
    raise AssertionError(target)


@pytest.fixture
async def caller(metered: None, shop: Shop) -> Buyer:
    return await shop.buyer()


def chunk(data: bytes) -> bytes:
    return b"%x\r\n%b\r\n" % (len(data), data)


def at(caller: Buyer, policy: str, name: str, script: Script) -> str:
    return scripted(caller, f"metered-{policy}", f"{name}/x", script)


async def settled(caller: Buyer, outcome: str, status: int, cost: int) -> None:
    """One row and the ledger's usage, and no reservation is left."""
    assert await caller.rows(1) == [(outcome, status, cost)]
    found = await caller.account()
    assert (found["balance"], found["usage"], found["reserved"]) == (5 * CREDITS - cost, cost, 0)


@BOTH_POLICIES
@pytest.mark.parametrize(
    ("name", "script", "cost"),
    [
        ("bytes", Script(whole("200 OK")), 2_000),
        ("bytes", Script(whole("302 Found")), 2_000),
        ("bytes", Script(CHUNKED + chunk(b"x" * 300) + chunk(b"y" * 5) + LAST), 305_000),
        ("bytes", Script(CHUNKED + chunk(b"x" * 3000) + LAST), CREDITS),
        ("bytes", Script(b"HTTP/1.1 204 No Content\r\n\r\n"), 0),
        ("bytes", Script(b"HTTP/1.1 200 OK\r\n\r\nuntil the end", close=True), 13_000),
        ("based", Script(b"HTTP/1.1 204 No Content\r\n\r\n"), 50_000),
        ("events", Script(STREAM + chunk(EVENT * 3 + b": ping\n\n") + chunk(b"data: half") + LAST), 30_000),
        ("events", Script(STREAM + chunk(b"data: x\r\n\r") + chunk(b"\ndata: y\r\n\r\n") + LAST), 20_000),
        ("events", Script(STREAM + LAST), 0),
        ("events", Script(whole("200 OK")), CREDITS),
        ("events", Script(STREAM.replace(b"\r\n\r\n", b"\r\nContent-Encoding: br\r\n\r\n") + chunk(EVENT) + LAST), CREDITS),
        ("any", Script(whole("200 OK")), 30_000),
        ("any", Script(STREAM + chunk(EVENT) + LAST), 10_000),
        ("held", Script(STREAM + chunk(EVENT * 4) + LAST), 40_000),
    ],
)  # fmt: skip
async def test_a_whole_answer(caller: Buyer, policy: str, name: str, script: Script, cost: int) -> None:
    answer = await caller.ask(at(caller, policy, name, script))
    await settled(caller, "served", answer.status, cost)


async def test_known_heads_are_metered_as_any(caller: Buyer) -> None:
    target = at(caller, "success", "bytes", Script(whole("200 OK")))
    for _ in range(WARM):
        answer = await caller.ask(target)
        assert (answer.values("x-credits-at-most"), answer.values("x-credits-charged")) == (["1"], [])
    assert await caller.rows(WARM) == [("served", 200, 2_000)] * WARM
    assert await caller.spent(WARM) == 2_000 * WARM


@BOTH_POLICIES
@pytest.mark.parametrize(("status", "cost"), [("404 Not Found", 2_000), ("503 Service Unavailable", 2_000)])
async def test_an_answer_that_says_no(caller: Buyer, policy: str, status: str, cost: int) -> None:
    answer = await caller.ask(at(caller, policy, "bytes", Script(whole(status))))
    on_success = policy == "success"
    assert answer.values("x-credits-charged" if on_success else "x-credits-at-most") == ["0" if on_success else "1"]
    await settled(caller, "served", int(status[:3]), 0 if on_success else cost)


@BOTH_POLICIES
@pytest.mark.parametrize("name", ["based", "held"])
async def test_no_answer_in_time(caller: Buyer, policy: str, name: str) -> None:
    answer = await caller.ask(at(caller, policy, name, Script(b"", delay_ms=3_000)))
    assert answer.values("x-credits-charged") == ["0"]
    await settled(caller, "failed", 504, 0)


CUTS = {
    "reset": lambda head, piece: Script(head + chunk(piece), delay_ms=100, reset=True),
    "idle": lambda head, piece: Script(head + chunk(piece), delay_ms=3_000),
    "broken": lambda head, piece: Script(head + chunk(piece), delay_ms=50, late=b"broken\r\n", close=True),
    "inside": lambda head, piece: Script(head + b"ff\r\n" + piece, delay_ms=50, close=True),
}


@BOTH_POLICIES
@pytest.mark.parametrize(
    ("how", "name", "head", "piece", "cost"),
    [
        ("reset", "bytes", CHUNKED, b"x" * 20, 20_000),
        ("idle", "based", CHUNKED, b"x" * 20, 70_000),
        ("broken", "bytes", CHUNKED, b"x" * 20, 20_000),
        ("inside", "bytes", CHUNKED, b"x" * 20, 20_000),
        ("reset", "events", STREAM, EVENT * 5 + b"data: half\n", 50_000),
        ("inside", "held", STREAM, EVENT * 5 + b"data: half\n", 50_000),
    ],
)
async def test_an_answer_that_its_upstream_cuts_is_paid_as_far_as_it_came(
    caller: Buyer, policy: str, how: str, name: str, head: bytes, piece: bytes, cost: int
) -> None:
    target = at(caller, policy, name, CUTS[how](head, piece))
    async with await RawClient.connect(caller.shop.gateway.address) as client:
        await client.send(caller.shop.gateway.request(target, caller.tenant.key))
        assert await client.ended(10)
        assert piece in client.received
    await settled(caller, "cut", 200, cost)


@BOTH_POLICIES
async def test_an_answer_that_is_cut_before_its_first_byte(caller: Buyer, policy: str) -> None:
    target = at(caller, policy, "based", Script(CHUNKED, delay_ms=50, late=b"broken\r\n", close=True))
    async with await RawClient.connect(caller.shop.gateway.address) as client:
        await client.send(caller.shop.gateway.request(target, caller.tenant.key))
        assert await client.ended(10)
    await settled(caller, "cut", 200, 50_000 if policy == "response" else 0)


@BOTH_POLICIES
async def test_what_can_not_be_counted_is_charged_as_a_fixed_price_is(caller: Buyer, policy: str) -> None:
    target = at(caller, policy, "events", Script(CHUNKED + chunk(b"one"), delay_ms=50, close=True))
    async with await RawClient.connect(caller.shop.gateway.address) as client:
        await client.send(caller.shop.gateway.request(target, caller.tenant.key))
        assert await client.ended(10)
        assert b"x-credits-charged: 1\r\n" in client.received
    await settled(caller, "cut", 200, CREDITS if policy == "response" else 0)


POINTS: dict[str, tuple[bytes, Callable[[bytes], bool], int]] = {
    "before the upstream answers": (b"", lambda received: True, 0),
    "behind the head": (STREAM, lambda received: b"\r\n\r\n" in received, 0),
    "after an event": (STREAM + chunk(EVENT), lambda received: EVENT in received, 1),
    "in the middle of an event": (STREAM + chunk(EVENT * 2 + b"data: ha"), lambda received: b"ha" in received, 2),
    "before the last byte": (STREAM + chunk(EVENT) * 9, lambda received: received.count(EVENT) == 9, 9),
}


@BOTH_POLICIES
@pytest.mark.parametrize("name", ["events", "held"])
@pytest.mark.parametrize("point", POINTS)
async def test_a_client_that_leaves_pays_for_what_it_got(caller: Buyer, policy: str, name: str, point: str) -> None:
    sent, there, events = POINTS[point]
    target = at(caller, policy, name, Script(sent, delay_ms=600))
    async with await RawClient.connect(caller.shop.gateway.address) as client:
        await client.send(caller.shop.gateway.request(target, caller.tenant.key))
        await until(lambda: caller.shop.upstream.since(0, target.removeprefix(f"/metered-{policy}")), what="it")
        assert await client.until(lambda: there(bytes(client.received)), 5)
    await settled(caller, "gone", 200 if sent else 0, events * 10_000)


async def test_all_the_rest_comes_back(caller: Buyer) -> None:
    """Of a whole answer, of one that was cut, and of one whose client left."""
    scripts = [
        Script(STREAM + chunk(EVENT * 4) + LAST),
        Script(STREAM + chunk(EVENT * 4), delay_ms=50, close=True),
        Script(STREAM + chunk(EVENT * 4), delay_ms=600),
    ]
    for number, script in enumerate(scripts):
        for name in ("events", "held"):
            target = at(caller, "success", name, script)
            async with await RawClient.connect(caller.shop.gateway.address) as client:
                await client.send(caller.shop.gateway.request(target, caller.tenant.key))
                assert await client.until(lambda: EVENT * 4 in client.received, 5)
                if number < 2:
                    assert await client.until(lambda: LAST in client.received or client.end, 5)
    assert [(outcome, cost) for outcome, _, cost in await caller.rows(6)] == [
        *[("served", 40_000)] * 2, *[("cut", 40_000)] * 2, *[("gone", 40_000)] * 2,
    ]  # fmt: skip
    rest = await caller.at_rest()
    assert (rest["balance"], rest["usage"]) == (5 * CREDITS - 240_000, 240_000)


@BOTH_POLICIES
async def test_a_tunnel_is_paid_by_its_bytes(caller: Buyer, policy: str) -> None:
    from gateway.upstream.websocket import accept_of

    switching = (
        b"HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Accept: "
        + accept_of(KEY.encode())
        + b"\r\n\r\n"
    )
    target = at(caller, policy, "bytes", Script(switching + b"y" * 77, delay_ms=300, close=True))
    async with await RawClient.connect(caller.shop.gateway.address) as client:
        await client.send(caller.shop.gateway.request(target, caller.tenant.key, *HANDSHAKE))
        assert await client.until(lambda: b"y" * 77 in client.received, 5)
        assert b"x-credits-at-most: 1\r\n" in client.received
    await settled(caller, "served", 101, 77_000)


async def test_the_most_must_be_there_and_is_held_until_the_end(caller: Buyer, shop: Shop, metered: None) -> None:
    poor = await shop.buyer(CREDITS - 1)
    answer = await poor.ask(at(poor, "success", "bytes", Script(whole("200 OK"))))
    assert (answer.status, json.loads(answer.body)["required_micro"]) == (402, CREDITS)
    enough = await shop.buyer(CREDITS)
    target = at(enough, "success", "held", Script(STREAM + chunk(EVENT), delay_ms=60_000))
    async with await RawClient.connect(shop.gateway.address) as client:
        await client.send(shop.gateway.request(target, enough.tenant.key))
        assert await client.until(lambda: EVENT in client.received, 5)
        assert b"x-credits-at-most: 1\r\nx-credits-remaining: 0\r\n" in client.received
        assert (await enough.account())["reserved"] == CREDITS
        assert (await enough.ask(enough.target("success", "more"))).status == 402
    await enough.rows(2)
    rest = await enough.at_rest()
    assert (rest["balance"], rest["usage"]) == (CREDITS - 10_000, 10_000)


@BOTH_POLICIES
@pytest.mark.parametrize(
    ("script", "outcome", "cost"),
    [
        (Script(STREAM.replace(b"\r\n\r\n", b"\r\nX-PE-Cost: 0.5\r\n\r\n") + chunk(EVENT * 4) + LAST), "served", 500_000),
        (Script(STREAM + chunk(EVENT * 4) + b"0\r\nX-PE-Cost: 0.6\r\n\r\n"), "served", 600_000),
        (Script(STREAM + chunk(EVENT * 4) + b"0\r\nx-pe-cost: much\r\n\r\n"), "served", CREDITS),
        (
            Script(STREAM.replace(b"\r\n\r\n", b"\r\nX-PE-Cost: 0.5\r\n\r\n") + chunk(EVENT * 4), delay_ms=50, close=True),
            "cut",
            40_000,
        ),
        (
            Script(STREAM.replace(b"\r\n\r\n", b"\r\nX-PE-Cost: 0.02\r\n\r\n") + chunk(EVENT * 4), delay_ms=50, close=True),
            "cut",
            20_000,
        ),
    ],
)  # fmt: skip
async def test_of_a_reserved_stream_its_upstream_says_what_the_whole_costs_and_what_came_what_a_part_does(
    caller: Buyer, policy: str, script: Script, outcome: str, cost: int
) -> None:
    target = at(caller, policy, "held", script)
    async with await RawClient.connect(caller.shop.gateway.address) as client:
        await client.send(caller.shop.gateway.request(target, caller.tenant.key))
        assert await client.until(lambda: b"\r\n0\r\n\r\n" in client.received or client.end, 10)
        assert b"cost" not in client.received.lower()
    await settled(caller, outcome, 200, cost)
    query = "select state, amount_micro, settled_micro from credit_reservation where organization_id = $1"
    assert tuple(await caller.shop.pool.fetchrow(query, caller.id)) == ("settled", CREDITS, cost)


TRAILED = CHUNKED.replace(b"\r\n\r\n", b"\r\nTrailer: X-PE-Cost\r\n\r\n") + chunk(b"one")


@BOTH_POLICIES
@pytest.mark.parametrize(
    ("script", "said", "cost"),
    [
        (Script(TRAILED + b"0\r\nX-PE-Cost: 0.25\r\n\r\n"), ("at-most", "1"), CREDITS // 4),
        (Script(TRAILED + b"0\r\nX-Other: 1\r\nx-pe-COST:\t0 \r\n\r\n"), ("at-most", "1"), 0),
        (Script(TRAILED + LAST), ("at-most", "1"), CREDITS),
        (Script(TRAILED + b"0\r\nX-PE-Cost: 1.5\r\n\r\n"), ("at-most", "1"), CREDITS),
        (Script(TRAILED + b"0\r\nX-PE-Cost: 0.1\r\nX-PE-Cost: 0.1\r\n\r\n"), ("at-most", "1"), CREDITS),
        (Script(CHUNKED + chunk(b"one") + b"0\r\nX-PE-Cost: 0.25\r\n\r\n"), ("charged", "1"), CREDITS // 4),
        (Script(TRAILED.replace(b"Trailer", b"X-PE-Cost: 0.2\r\nTrailer") + b"0\r\nX-PE-Cost: 0.3\r\n\r\n"), ("at-most", "1"), 300_000),
        (Script(TRAILED.replace(b"Trailer", b"X-PE-Cost: 0.2\r\nTrailer") + LAST), ("at-most", "1"), 200_000),
    ],
)  # fmt: skip
async def test_a_reserved_request_costs_what_its_upstreams_trailer_says_within_what_is_held(
    caller: Buyer, policy: str, script: Script, said: tuple[str, str], cost: int
) -> None:
    answer = await caller.ask(at(caller, policy, "fixed", script))
    assert (answer.status, answer.body) == (200, b"one")
    assert answer.values(f"x-credits-{said[0]}") == [said[1]]
    await settled(caller, "served", 200, cost)


async def test_of_a_request_that_is_not_reserved_no_trailer_changes_the_price(caller: Buyer) -> None:
    script = Script(CHUNKED + chunk(b"one") + b"0\r\nX-PE-Cost: 0\r\n\r\n")
    assert (await caller.ask(scripted(caller, "success", "trailed", script))).body == b"one"
    await settled(caller, "served", 200, PRICE)


async def test_what_is_replayed_is_not_metered(shop: Shop, metered: None) -> None:
    """Who leaves a kept answer gets the rest of it for nothing, so nothing less than the whole may be due."""
    async with shop.pool.acquire() as connection:
        for options in ({"replays": True, "cost_formula": "0.1 * answer.bytes"},):
            with pytest.raises(InvalidValue, match="replays"):
                await operations.create(
                    connection, service_slug="metered-success", method="*", path_pattern="/both", name="both",
                    price_micro=CREDITS, **options,
                )  # fmt: skip
        made = await operations.create(
            connection, service_slug="metered-success", method="*", path_pattern="/kept/*", name="kept",
            price_micro=CREDITS, cost_formula="0.1 * answer.bytes",
        )  # fmt: skip
        with pytest.raises(InvalidValue, match="replays"):
            await operations.change(connection, made.id, replays=True)
        await operations.change(connection, made.id, cost_formula="", replays=True)
        with pytest.raises(InvalidValue, match="replays"):
            await operations.change(connection, made.id, cost_formula="0.1 * answer.bytes")
        await operations.change(connection, made.id, cost_formula="0.1 * answer.bytes", replays=False)
        await connection.execute("update operation set replays = true where id = $1", made.id)
        await operations.change(connection, made.id, name="kept all the same")
    buyer = await shop.buyer()
    target = at(buyer, "success", "kept", Script(whole("200 OK")))
    for number in range(500):
        answer = await buyer.ask(target, f"Idempotency-Key: {number}", method="POST")
        if answer.values("x-credits-charged"):
            break
    assert answer.values("x-credits-charged") == ["1"]
    again = await buyer.ask(target, f"Idempotency-Key: {number}", method="POST")
    assert again.values("idempotency-replayed") == ["true"]
    assert again.values("x-credits-charged") == ["0"]
