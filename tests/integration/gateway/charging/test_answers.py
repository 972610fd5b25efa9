"""What a caller sees of credits: the two fields, the 402 document, /user/usage."""

import asyncio
import json

from tests.deadlines import until
from tests.gateways import make_tenant
from tests.integration.gateway.charging.conftest import CREDITS, PRICE, RESERVED, Buyer, Shop
from tests.wire.answers import WireAnswer
from tests.wire.upstream import Script


def field(answer: WireAnswer, name: str) -> str | None:
    return next((value for named, value in answer.fields if named.lower() == name), None)


def said(answer: WireAnswer) -> tuple[str | None, str | None]:
    return field(answer, "x-credits-charged"), field(answer, "x-credits-remaining")


async def test_each_answer_says_what_it_cost_and_what_remains(buyer: Buyer) -> None:
    answers = [await buyer.ask(buyer.target("success", "one")) for _ in range(5)]
    assert [answer.status for answer in answers] == [200] * 5
    assert [said(answer) for answer in answers] == [("0.1", text) for text in ("4.9", "4.8", "4.7", "4.6", "4.5")]
    assert await buyer.spent(5) == 5 * PRICE
    assert (await buyer.account())["balance"] == 5 * CREDITS - 5 * PRICE


async def test_a_streamed_answer_says_the_same(shop: Shop, buyer: Buyer) -> None:
    target = buyer.target("success", "stream")
    shop.upstream.script(
        target.removeprefix("/success"),
        Script(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\none\r\n", delay_ms=50, late=b"0\r\n\r\n"),
    )
    assert said(await buyer.ask(target)) == ("0.1", "4.9")
    assert await buyer.spent(1) == PRICE


async def test_a_free_operation_says_nothing_and_needs_nothing(shop: Shop) -> None:
    poor = await shop.buyer(0)
    answer = await poor.ask("/success/free/x")
    assert (answer.status, said(answer)) == (200, (None, None))


async def test_an_upstreams_own_fields_do_not_pass(shop: Shop, buyer: Buyer) -> None:
    head = (
        b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nX-Credits-Charged: 99\r\nX-Credits-Other: 1\r\nX-PE-Cost: 7\r\n\r\nok"
    )
    for kind in ("free", "fields"):
        target = f"/success/{kind}/{buyer.tenant.slug}"
        shop.upstream.script(target.removeprefix("/success"), Script(head))
        for _ in range(3):
            answer = await buyer.ask(target)
            assert field(answer, "x-pe-cost") is None
            assert field(answer, "x-credits-other") is None
            assert field(answer, "x-credits-charged") == (None if kind == "free" else "0.1")


async def test_without_credits_it_is_402_with_what_is_missing(shop: Shop) -> None:
    poor = await shop.buyer(PRICE // 2)
    mark = shop.upstream.mark()
    for _ in range(3):
        answer = await poor.ask(poor.target("success", "poor"))
        assert answer.status == 402
        document = json.loads(answer.body)
        assert document["code"] == "out_of_credits"
        assert (document["required_credits"], document["required_micro"]) == ("0.1", PRICE)
        assert (document["available_credits"], document["available_micro"]) == ("0.05", PRICE // 2)
        assert document["top_up"]
        assert said(answer) == ("0", "0.05")
    assert not shop.upstream.since(mark, poor.tenant.slug)
    assert await poor.rows(3) == [("refused", 402, 0)] * 3
    assert (await poor.at_rest())["balance"] == PRICE // 2


async def test_what_was_refused_takes_no_permit(shop: Shop) -> None:
    async with shop.pool.acquire() as connection:
        tenant = await make_tenant(connection, f"few-{shop.gateway.address[1]}", amount=5)
    poor = Buyer(shop, tenant)
    assert [(await poor.ask("/success/x")).status for _ in range(8)] == [402] * 8
    assert field(await poor.ask("/success/free/x"), "ratelimit") is not None
    answer = await poor.ask("/user/usage")
    assert json.loads(answer.body)["windows"][0]["used"] == 1


async def test_a_grant_is_spent_within_a_second(shop: Shop) -> None:
    from tests.integration.domain.credits.accounts import bonus, posted

    poor = await shop.buyer(0)
    assert (await poor.ask("/success/x")).status == 402
    async with shop.pool.acquire() as connection:
        await posted(connection, bonus(poor.id, PRICE))
    statuses: list[int] = []

    async def again() -> None:
        while 200 not in statuses:
            statuses.append((await poor.ask("/success/x")).status)
            await asyncio.sleep(0.05)

    await asyncio.wait_for(again(), 5)
    assert set(statuses) <= {402, 200}
    assert (await poor.ask("/success/x")).status == 402


async def test_an_organization_on_quotas_pays_no_credits(shop: Shop) -> None:
    other = await shop.buyer(0)
    await shop.pool.execute("update organization set billing_mode = 'quota' where id = $1", other.id)
    answer = await other.ask("/success/x")
    assert (answer.status, said(answer)) == (200, (None, None))
    assert await other.rows(1) == [("served", 200, 0)]


async def test_usage_tells_of_credits_and_open_reservations(shop: Shop, buyer: Buyer) -> None:
    target = buyer.target("success", "reserved/slow")
    shop.upstream.script(
        target.removeprefix("/success"),
        Script(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\no", delay_ms=500, late=b"k"),
    )
    asking = asyncio.ensure_future(buyer.ask(target))
    await until(lambda: shop.upstream.since(0, target.removeprefix("/success")), what="the request")
    told = json.loads((await buyer.ask("/user/usage")).body)["credits"]
    assert told == {"balance": "5", "reserved": "1", "available": "4", "open_reservations": 1}
    assert said(await asking) == ("1", "4")
    assert await buyer.spent(1) == RESERVED
    told = json.loads((await buyer.ask("/user/usage")).body)["credits"]
    assert told == {"balance": "4", "reserved": "0", "available": "4", "open_reservations": 0}
