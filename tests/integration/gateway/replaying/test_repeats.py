"""One key, one execution, one charge: what repeats get, through both doors, beside an upstream that counts."""

import asyncio
import json

import pytest

from domain.journal.decision import Step, unpack_decision
from tests.deadlines import until
from tests.integration.domain.credits.accounts import bonus, posted
from tests.integration.gateway.charging.conftest import CREDITS, PRICE, RESERVED, Shop
from tests.integration.gateway.replaying.conftest import MOST_KEPT, Caller, new_caller
from tests.wire.answers import WireAnswer
from tests.wire.raw_client import RawClient
from tests.wire.upstream import Script

OURS = {"x-request-id", "ratelimit", "x-ratelimit-remaining", "x-ratelimit-reset", "x-credits-charged"}
OURS |= {"x-credits-remaining", "idempotency-replayed", "content-length", "transfer-encoding"}


def code(answer: WireAnswer) -> str:
    return str(json.loads(answer.body)["code"])


def own(answer: WireAnswer) -> list[tuple[str, str]]:
    """The upstream's fields."""
    return [(name.lower(), value) for name, value in answer.fields if name.lower() not in OURS]


def scripted(caller: Caller, rest: str, script: Script, policy: str = "success") -> str:
    target = caller.target(policy, rest)
    caller.shop.upstream.script(target.removeprefix(f"/{policy}"), script)
    return target


async def used(caller: Caller) -> int:
    return int(json.loads((await caller.ask("/user/usage")).body)["windows"][0]["used"])


WHOLE = b"HTTP/1.1 201 Created\r\nContent-Length: 4\r\nDate: x\r\nSet-Cookie: a\r\nX-Own: \xe9\r\nSet-Cookie: b\r\n\r\nm\x00\xffe"
STREAMED = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nX-Own: 1\r\n\r\n3\r\none\r\n"
BROKEN = b"HTTP/1.1 503 Service Unavailable\r\nContent-Length: 2\r\n\r\nno"


@pytest.mark.parametrize(
    "script",
    [
        Script(WHOLE),
        Script(STREAMED, delay_ms=20, late=b"3\r\ntwo\r\n0\r\n\r\n"),
        Script(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"),
        Script(b"HTTP/1.1 204 No Content\r\nX-Own: 1\r\n\r\n"),
        Script(b"HTTP/1.1 200 OK\r\nConnection: close\r\n\r\nuntil the end", close=True),
        Script(b"HTTP/1.1 404 Not Found\r\nContent-Length: 2\r\n\r\nno"),
    ],
    ids=["whole", "streamed", "empty", "bodiless", "until-close", "not-found"],
)
async def test_a_repeat_gets_the_same_answer_and_costs_nothing(caller: Caller, script: Script) -> None:
    target, key = scripted(caller, "order", script), caller.new_key()
    first = await caller.write(target, key, b"two apples")
    repeats = [await caller.write(target, key, b"two apples") for _ in range(2)]
    cost = 0 if first.status == 404 else PRICE
    assert [len(caller.executed(target)), first.values("idempotency-replayed")] == [1, []]
    for repeat in repeats:
        assert (repeat.status, repeat.body, own(repeat)) == (first.status, first.body, own(first))
        assert repeat.values("idempotency-replayed") == ["true"]
        assert repeat.values("x-credits-charged") == ["0"]
        assert repeat.values("x-request-id") != first.values("x-request-id")
        assert len(repeat.values("ratelimit")) == 1
    assert await caller.rows(3) == [("served", first.status, cost), *[("served", first.status, 0)] * 2]
    assert await caller.spent(3) == cost
    assert await used(caller) == 3


async def test_twenty_at_once_are_executed_and_charged_once(shop: Shop, caller: Caller) -> None:
    target = scripted(caller, "rush", Script(b"", delay_ms=300, late=WHOLE))
    key = caller.new_key()
    answers = await asyncio.gather(*(caller.write(target, key, b"me") for _ in range(20)))
    statuses = sorted(answer.status for answer in answers)
    assert statuses[0] == 201
    assert set(statuses) <= {201, 409}
    for answer in answers:
        if answer.status == 409:
            assert (code(answer), answer.values("retry-after")) == ("still_running", ["1"])
    again = await asyncio.gather(*(caller.outcome(target, key, b"me") for _ in range(20)))
    assert {(answer.status, answer.body) for answer in again} == {(201, b"m\x00\xffe")}
    assert len(caller.executed(target)) == 1
    assert await caller.spent(40) == PRICE
    assert await used(caller) == 20 + statuses.count(201)


async def test_another_request_under_the_key_is_refused_and_consumes_nothing(caller: Caller) -> None:
    target, key = caller.target("success", "pay"), caller.new_key()
    assert (await caller.write(target, key, b"1")).status == 200
    others = [
        await caller.write(target, key, b"2"),
        await caller.write(target, key),
        await caller.write(target + "?x", key, b"1"),
        await caller.write(caller.target("response", "pay"), key, b"1"),
        await caller.write(target, key, b"1", method="PUT"),
    ]
    assert [(answer.status, code(answer)) for answer in others] == [(422, "idempotency_mismatch")] * 5
    assert (await caller.write(target, key, b"1")).values("idempotency-replayed") == ["true"]
    assert await caller.spent(7) == PRICE
    assert await used(caller) == 2


async def test_while_the_first_runs_it_is_409(shop: Shop, caller: Caller) -> None:
    target, key = scripted(caller, "slow", Script(b"", delay_ms=500, late=WHOLE)), caller.new_key()
    first = asyncio.ensure_future(caller.write(target, key, b"1"))
    await until(lambda: caller.executed(target), what="the request")
    for body in (b"1", b"other"):
        answer = await caller.write(target, key, body)
        assert (answer.status, code(answer)) == (409, "still_running")
    assert await used(caller) == 1
    assert (await first).status == 201
    assert (await caller.write(target, key, b"1")).status == 201
    await caller.rows(4)
    traces = await shop.pool.fetch("select decision from request_log where organization_id = $1 order by at", caller.id)
    steps = [decision.step for row in traces if (decision := unpack_decision(row["decision"]))]
    assert steps == [Step.REPEAT, Step.REPEAT, Step.ANSWER, Step.REPEAT]


async def test_two_organizations_with_one_key_do_not_meet(shop: Shop, caller: Caller) -> None:
    other, key = await new_caller(shop), caller.new_key()
    target = caller.target("success", "shared")
    answers = [await who.write(target, key, b"1") for who in (caller, other, caller, other)]
    assert [answer.values("idempotency-replayed") for answer in answers] == [[], [], ["true"], ["true"]]
    assert answers[0].body == answers[2].body != answers[1].body == answers[3].body
    assert (await caller.spent(2), await other.spent(2)) == (PRICE, PRICE)


@pytest.mark.parametrize("size", [MOST_KEPT, MOST_KEPT + 1])
async def test_an_answer_beyond_what_is_kept_passes_but_is_not_replayed(caller: Caller, size: int) -> None:
    head = f"HTTP/1.1 200 OK\r\nContent-Length: {size}\r\n\r\n".encode()
    target, key = scripted(caller, "big", Script(head + bytes(size))), caller.new_key()
    first = await caller.write(target, key, b"1")
    assert (first.status, len(first.body)) == (200, size)
    again = await caller.write(target, key, b"1")
    if size <= MOST_KEPT:
        assert (again.status, again.body) == (200, first.body)
    else:
        assert (again.status, code(again)) == (409, "outcome_not_kept")
        assert (await caller.write(target, key, b"2")).status == 422
    assert len(caller.executed(target)) == 1
    assert (await caller.spent(2)) == PRICE


async def test_framing_and_quotes_make_no_other_request(caller: Caller) -> None:
    target, key = caller.target("success", "framed"), caller.new_key()
    chunked = caller.raw(target, key, b"", "Transfer-Encoding: chunked") + b"1\r\na\r\n3\r\nbcd\r\n0\r\n\r\n"
    first = await caller.shop.gateway.ask(chunked, "POST")
    repeats = [
        await caller.shop.gateway.ask(chunked, "POST"),
        await caller.write(target, f'"{key}"', b"abcd"),
        await caller.write(target, key, b"abcd", "Expect: 100-continue"),
    ]
    assert first.status == 200
    assert [(answer.status, answer.body) for answer in repeats] == [(200, first.body)] * 3
    assert (await caller.write(target, key, b"abc")).status == 422
    (seen,) = caller.executed(target)
    assert f"idempotency-key: {key}" in seen.text.lower()


async def test_on_a_kept_connection_and_pipelined(shop: Shop, caller: Caller) -> None:
    target, key = caller.target("success", "kept"), caller.new_key()
    one, other = caller.raw(target, key, b"1"), caller.raw(target, key, b"2")
    async with await RawClient.connect(shop.gateway.address) as client:
        await client.send(one + one + other + one)
        answers = (await client.answers(4, 10, ["POST"] * 4)).final
        assert client.end is None
        await client.send(one)
        last = (await client.answers(5, 10, ["POST"] * 5)).final[4]
    assert [answer.status for answer in (*answers, last)] == [200, 200, 422, 200, 200]
    assert len({answer.body for answer in (*answers, last) if answer.status == 200}) == 1
    assert await caller.spent(5) == PRICE


async def test_a_large_body_is_passed_on_and_compared(caller: Caller) -> None:
    target, key, body = caller.target("success", "upload"), caller.new_key(), bytes(range(256)) * 3_000
    first = await caller.write(target, key, body)
    again = await caller.write(target, key, body)
    assert (first.status, again.status, again.body) == (200, 200, first.body)
    assert (await caller.write(target, key, body[:-1] + b"x")).status == 422
    assert len(caller.executed(target)) == 1


async def test_known_heads_replay_too(caller: Caller) -> None:
    target = caller.target("success", "delete")
    for _ in range(3):
        key = caller.new_key()
        answers = [await caller.write(target, key, method="DELETE") for _ in range(4)]
        assert [answer.status for answer in answers] == [200] * 4
        assert len({answer.body for answer in answers}) == 1
    assert len(caller.executed(target)) == 3
    assert await caller.spent(12) == 3 * PRICE


@pytest.mark.parametrize("kind", ["single", "GET", "none"])
async def test_elsewhere_nothing_of_it_happens(caller: Caller, kind: str) -> None:
    target = caller.target("success", "single/x" if kind == "single" else "other")
    key = "" if kind == "none" else caller.new_key()
    method = "GET" if kind == "GET" else "POST"
    answers = [await caller.write(target, key, method=method) for _ in range(3)]
    assert [answer.status for answer in answers] == [200] * 3
    assert len(caller.executed(target)) == 3
    assert await caller.spent(3) == 3 * PRICE
    assert await caller.stored() == []


@pytest.mark.parametrize("key", ['""', '"open', "a b", "a,b", "k" * 256, '"a" ;x=1', "\xe9"])
async def test_what_is_no_key_is_400_and_consumes_nothing(caller: Caller, key: str) -> None:
    answer = await caller.write(caller.target("success", "bad"), key, b"1")
    assert (answer.status, code(answer)) == (400, "invalid_idempotency_key")
    assert await used(caller) == 0


async def test_two_keys_are_400(caller: Caller) -> None:
    answer = await caller.write(caller.target("success", "bad"), "one", b"1", "Idempotency-Key: one")
    assert (answer.status, code(answer)) == (400, "invalid_idempotency_key")


async def test_a_reserved_operation_is_charged_once(caller: Caller) -> None:
    target, key = caller.target("success", "reserved/x"), caller.new_key()
    answers = [await caller.write(target, key, b"1") for _ in range(3)]
    assert [answer.status for answer in answers] == [200] * 3
    assert len(caller.executed(target)) == 1
    assert await caller.spent(3) == RESERVED


async def test_a_free_operation_runs_once_too(caller: Caller) -> None:
    target, key = caller.target("success", "free/x"), caller.new_key()
    answers = [await caller.write(target, key, b"1") for _ in range(3)]
    assert [(answer.status, answer.values("x-credits-charged")) for answer in answers] == [(200, [])] * 3
    assert len(caller.executed(target)) == 1


async def test_a_key_of_a_refused_request_is_free(shop: Shop) -> None:
    poor = await new_caller(shop, 0)
    target, key = poor.target("success", "poor"), poor.new_key()
    assert [(await poor.write(target, key, b"1")).status for _ in range(2)] == [402, 402]
    assert await poor.stored() == []
    async with shop.pool.acquire() as connection:
        await posted(connection, bonus(poor.id, CREDITS))
    statuses: list[int] = []
    while not statuses or statuses[-1] == 402:
        statuses.append((await poor.write(target, key, b"1")).status)
    assert statuses[-1] == 200
    assert len(poor.executed(target)) == 1
    assert await used(poor) == 1


async def test_a_repeat_takes_no_units_of_quotas(shop: Shop) -> None:
    caller = await new_caller(shop)
    async with shop.pool.acquire() as connection, connection.transaction():
        await connection.execute("update organization set billing_mode = 'quota' where id = $1", caller.id)
        await connection.execute(
            "insert into plan_limit (plan_id, name, amount, period, unit)"
            " select plan_id, 'quota', 2, 'month', 'quota' from subscription where organization_id = $1",
            caller.id,
        )
    target, key = scripted(caller, "order", Script(WHOLE)), caller.new_key()

    async def quota_used() -> int | None:
        document = json.loads((await caller.ask("/user/usage")).body)
        return next((quota["used"] for quota in document.get("quotas", [])), None)

    async with asyncio.timeout(5):
        while await quota_used() != 0:
            await asyncio.sleep(0.02)  # until the gateway has heard of it
    assert (await caller.write(target, key, b"x")).status == 201
    repeats = [await caller.write(target, key, b"x") for _ in range(3)]
    assert [answer.status for answer in repeats] == [201, 201, 201]
    assert len(caller.executed(target)) == 1
    assert await quota_used() == 1
