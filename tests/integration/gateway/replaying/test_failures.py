"""When it does not end well: broken upstreams, clients that leave. A repeat runs again only if nothing was charged."""

import pytest

from tests.deadlines import until
from tests.integration.gateway.charging.conftest import PRICE, Shop
from tests.integration.gateway.replaying.conftest import MOST_KEPT, Caller
from tests.integration.gateway.replaying.test_repeats import BROKEN, STREAMED, WHOLE, code, scripted
from tests.wire.raw_client import RawClient
from tests.wire.upstream import Recorded, Script


def first_then(first: bytes, later: bytes = WHOLE) -> Script:
    """The first time something else than later; ends the connection, where the first was short."""
    seen: list[Recorded] = []

    def answer(record: Recorded) -> bytes:
        seen.append(record)
        return first if len(seen) == 1 else later

    return Script(answer, close=True)


@pytest.mark.parametrize(
    "first",
    [BROKEN, b"HTTP/9 what\r\n\r\n", b"", b"HTTP/1.1 429 Slow Down\r\nContent-Length: 2\r\n\r\nno"],
    ids=["503", "broken", "lost", "429"],
)
async def test_a_failure_that_cost_nothing_is_run_again(caller: Caller, first: bytes) -> None:
    target, key = scripted(caller, "failing", first_then(first)), caller.new_key()
    assert (await caller.write(target, key, b"1")).status >= 429
    assert await caller.stored() == []
    answers = [await caller.write(target, key, b"1") for _ in range(2)]
    assert [answer.status for answer in answers] == [201, 201]
    assert len(caller.executed(target)) == 2
    assert await caller.spent(3) == PRICE


async def test_a_failure_that_was_charged_is_replayed(caller: Caller) -> None:
    target, key = scripted(caller, "charged", Script(BROKEN), "response"), caller.new_key()
    answers = [await caller.write(target, key, b"1") for _ in range(2)]
    assert [(answer.status, answer.body) for answer in answers] == [(503, b"no")] * 2
    assert len(caller.executed(target)) == 1
    assert await caller.spent(2) == PRICE


async def test_without_an_upstream_the_key_is_free(caller: Caller) -> None:
    key = caller.new_key()
    assert [(await caller.write("/gone-success/x", key, b"1")).status for _ in range(2)] == [502, 502]
    assert await caller.stored() == []
    assert await caller.spent(2) == 0


@pytest.mark.parametrize("policy", ["success", "response"])
async def test_a_cut_answer_is_run_again_only_if_it_was_not_charged(caller: Caller, policy: str) -> None:
    later = STREAMED + b"0\r\n\r\n"
    target, key = scripted(caller, "cut", first_then(STREAMED, later), policy), caller.new_key()
    async with await RawClient.connect(caller.shop.gateway.address) as client:
        await client.send(caller.raw(target, key, b"1"))
        assert await client.ended(10)
        assert b"one" in client.received
        assert not client.received.endswith(b"0\r\n\r\n")
    again = await caller.outcome(target, key, b"1")
    if policy == "success":
        assert (again.status, again.body) == (200, b"one")
    else:
        assert (again.status, code(again)) == (409, "outcome_not_kept")
    assert len(caller.executed(target)) == (2 if policy == "success" else 1)
    assert await caller.spent(2) == PRICE


async def test_an_early_answer_to_half_a_body_is_no_outcome(shop: Shop, caller: Caller) -> None:
    no = b"HTTP/1.1 413 Too Large\r\nContent-Length: 2\r\n\r\nno"
    target, key = scripted(caller, "early", Script(no, early=True)), caller.new_key()
    raw = caller.raw(target, key, b"", "Content-Length: 1000")
    async with await RawClient.connect(shop.gateway.address) as client:
        await client.send(raw + b"half")
        assert await client.until(lambda: b"413" in client.received, 10)
    await caller.nothing_stored()


LEAVING = {
    "before the answer": (Script(b"", delay_ms=500, late=STREAMED + b"0\r\n\r\n"), b"", b"one"),
    "in the answer": (Script(STREAMED, delay_ms=500, late=b"3\r\ntwo\r\n0\r\n\r\n"), b"one", b"onetwo"),
    "before the last byte": (
        Script(b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nfou", delay_ms=500, late=b"r"),
        b"fou",
        b"four",
    ),
}


@pytest.mark.parametrize("policy", ["success", "response"])
@pytest.mark.parametrize("point", LEAVING)
async def test_a_client_that_left_finds_its_outcome(shop: Shop, caller: Caller, policy: str, point: str) -> None:
    script, there, whole = LEAVING[point]
    target, key = scripted(caller, "left", script, policy), caller.new_key()
    async with await RawClient.connect(shop.gateway.address) as client:
        await client.send(caller.raw(target, key, b"1"))
        await until(lambda: [one for one in caller.executed(target) if one.state == "whole"], what="the request")
        assert await client.until(lambda: there in client.received, 5)
        await client.reset()
    answer = await caller.outcome(target, key, b"1")
    assert (answer.status, answer.body) == (200, whole)
    assert answer.values("idempotency-replayed") == ["true"]
    assert len(caller.executed(target)) == 1
    assert await caller.ended(2) == [("gone", 200, PRICE), ("served", 200, 0)]
    assert (await caller.account())["usage"] == PRICE


async def test_a_client_that_left_an_answer_larger_than_is_kept(shop: Shop, caller: Caller) -> None:
    head = f"HTTP/1.1 200 OK\r\nContent-Length: {2 * MOST_KEPT}\r\n\r\n".encode()
    target = scripted(caller, "large", Script(head + b"x", delay_ms=300, late=bytes(2 * MOST_KEPT - 1)))
    key = caller.new_key()
    async with await RawClient.connect(shop.gateway.address) as client:
        await client.send(caller.raw(target, key, b"1"))
        assert await client.until(lambda: client.received.endswith(b"x"), 5)
        await client.reset()
    answer = await caller.outcome(target, key, b"1")
    assert (answer.status, code(answer)) == (409, "outcome_not_kept")
    assert len(caller.executed(target)) == 1
    assert await caller.ended(1) == [("gone", 200, PRICE)]
    assert (await caller.account())["usage"] == PRICE


async def test_a_client_that_left_before_its_body_was_whole_has_asked_for_nothing(shop: Shop, caller: Caller) -> None:
    target, key = caller.target("success", "half"), caller.new_key()
    async with await RawClient.connect(shop.gateway.address) as client:
        await client.send(caller.raw(target, key, b"", "Content-Length: 4") + b"ha")
        await until(lambda: caller.executed(target), what="the request")
        await client.reset()
    await caller.nothing_stored()
    answers = [await caller.write(target, key, b"half") for _ in range(2)]
    assert [answer.status for answer in answers] == [200, 200]
    assert [one.state for one in caller.executed(target)] == ["cut", "whole"]
    assert await caller.spent(3) == PRICE


async def test_a_slow_reader_holds_the_upstream_back(shop: Shop, caller: Caller) -> None:
    size = 50 * MOST_KEPT
    head = f"HTTP/1.1 200 OK\r\nContent-Length: {size}\r\n\r\n".encode()
    target, key = scripted(caller, "wide", Script(head + bytes(size))), caller.new_key()
    async with await RawClient.connect(shop.gateway.address, receive_buffer=8_192) as client:
        client.stop_reading()
        await client.send(caller.raw(target, key, b"1"))
        await until(lambda: caller.executed(target), what="the request")
        answer = await caller.write(target, key, b"1")
        assert (answer.status, code(answer)) == (409, "still_running")
        client.go_on_reading()
        (whole,) = (await client.answers(1, 30, ["POST"])).final
        assert len(whole.body) == size
    assert code(await caller.outcome(target, key, b"1")) == "outcome_not_kept"
    assert await caller.spent(2) == PRICE


async def test_a_client_that_leaves_in_the_body_of_a_repeat(shop: Shop, caller: Caller) -> None:
    target, key = caller.target("success", "repeat"), caller.new_key()
    assert (await caller.write(target, key, b"1234")).status == 200
    async with await RawClient.connect(shop.gateway.address) as client:
        await client.send(caller.raw(target, key, b"", "Content-Length: 4") + b"12")
        assert not await client.until(lambda: client.received, 0.2)
        await client.reset()
    assert await caller.ended(2) == [("served", 200, PRICE), ("gone", 0, 0)]
    assert (await caller.write(target, key, b"1234")).values("idempotency-replayed") == ["true"]
    assert len(caller.executed(target)) == 1


async def test_a_body_that_is_too_large_frees_the_key(caller: Caller) -> None:
    target, key = caller.target("success", "huge"), caller.new_key()
    chunk = b"80000\r\n" + bytes(0x80000) + b"\r\n"
    raw = caller.raw(target, key, b"", "Transfer-Encoding: chunked") + 2 * chunk + b"0\r\n\r\n"
    assert (await caller.shop.gateway.ask(raw, "POST")).status == 413
    await caller.nothing_stored()
    assert (await caller.write(target, key, b"1")).status == 200
