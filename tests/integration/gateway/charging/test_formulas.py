"""What a request with a formula costs, as its caller is told and as the ledger says, with heads that are known or not."""

import asyncio
import json
from uuid import UUID

import pytest

from domain import operations
from tests.gateways import make_service
from tests.integration.gateway.charging.conftest import CREDITS, Buyer, Shop
from tests.wire.raw_client import RawClient
from tests.wire.upstream import Script

WARM = 4
"""The same request so often, and both parts of its head are known."""
FORMULAS = {
    "pages": ("/pages", "0.01 + 0.002 * query.pages ? 1", CREDITS, False),
    "size": ("/size", "0.01 * header.x-size", CREDITS, False),
    "both": ("/both", "0.1 * query.n ? 1 + 0.001 * header.x-size ? 1", CREDITS, False),
    "day": ("/days/{day}", "0.01 * path.day", CREDITS, False),
    "body": ("/body", "0.1 * ceil(bytes / 1000)", CREDITS, False),
    "held": ("/held", "0.1 * query.n ? 1", CREDITS, True),
}


@pytest.fixture(scope="module")
async def tools(shop: Shop) -> dict[str, UUID]:
    """The ids of a service's operations with formulas, by name; the gateway knows them."""
    made = {}
    async with shop.pool.acquire() as connection:
        await make_service(connection, "tools", "/tools", shop.upstream.port)
        for name, (pattern, formula, cap, reserved) in FORMULAS.items():
            operation = await operations.create(
                connection, service_slug="tools", method="*", path_pattern=pattern, name=name, price_micro=cap,
                reserved=reserved, cost_formula=formula,
            )  # fmt: skip
            made[name] = operation.id
    await shop.gateway.serves("/tools")
    probe = await shop.buyer()
    async with asyncio.timeout(10):
        while "0.01" not in (await probe.ask("/tools/days/1")).values("x-credits-charged"):
            await asyncio.sleep(0.02)
    return made


@pytest.fixture
async def caller(tools: dict[str, UUID], shop: Shop) -> Buyer:
    return await shop.buyer(100 * CREDITS)


async def charged(caller: Buyer, target: str, *lines: str) -> str:
    """What one request is told to have cost."""
    answer = await caller.ask(target, *lines)
    assert answer.status == 200
    (said,) = answer.values("x-credits-charged")
    return said


@pytest.mark.parametrize(
    ("target", "lines", "said"),
    [
        ("/tools/pages", (), "0.012"),
        ("/tools/pages?pages=3", (), "0.016"),
        ("/tools/pages?x=1&pages=0", (), "0.01"),
        ("/tools/pages?pages=5000", (), "1"),
        ("/tools/pages?pages=none", (), "1"),
        ("/tools/pages?pages=2&pages=1", (), "1"),
        ("/tools/pages?Pages=100", (), "1"),
        ("/tools/pages?pages[]=100", (), "1"),
        ("/tools/pages?p%61ges=100", (), "1"),
        ("/tools/pages?pages=-1", (), "1"),
        ("/tools/size", (), "1"),
        ("/tools/size", ("X-Size: 7",), "0.07"),
        ("/tools/size", ("X-Size:   7  ",), "0.07"),
        ("/tools/size", ("X-Size: 7", "x-size: 7"), "1"),
        ("/tools/size", ("X-Size: 7", "Connection: X-Size"), "1"),
        ("/tools/size", ("X_Size: 7",), "1"),
        ("/tools/size", ("X-Size: 007",), "1"),
        ("/tools/days/7", (), "0.07"),
        ("/tools/days/%37", (), "0.07"),
        ("/tools/days/7/", (), "0.07"),
        ("/tools/days/7;x=1", (), "1"),
        ("/tools/days/today", (), "1"),
    ],
)
async def test_its_fields_make_the_price(caller: Buyer, target: str, lines: tuple[str, ...], said: str) -> None:
    micro = int(float(said) * CREDITS + 0.5)
    assert [await charged(caller, target, *lines) for _ in range(WARM)] == [said] * WARM
    assert await caller.rows(WARM) == [("served", 200, micro)] * WARM
    assert await caller.spent(WARM) == WARM * micro


async def test_known_lines_and_known_fields_are_priced_in_every_pair(caller: Buyer) -> None:
    lines = {"/tools/both?n=1": 100_000, "/tools/both?n=4": 400_000, "/tools/both": 100_000, "/tools/both?n=x": None}
    fields: dict[tuple[str, ...], int | None] = {
        ("X-Size: 10",): 10_000, ("X-Size: 200",): 200_000, (): 1_000, ("X-Size: -1",): None,
    }  # fmt: skip
    for target, said in zip(lines, fields, strict=True):
        for _ in range(WARM):
            await charged(caller, target, *said)
    before = await caller.spent(4 * WARM)
    total = 0
    for _ in range(2):
        for target, by_line in lines.items():
            for said, by_fields in fields.items():
                micro = CREDITS if by_line is None or by_fields is None else by_line + by_fields
                assert round(float(await charged(caller, target, *said)) * CREDITS) == micro
                total += micro
    assert await caller.spent(4 * WARM + 32) == before + total


async def test_requests_that_come_together_each_cost_their_own(caller: Buyer) -> None:
    """They are decided and answered in one turn of the gateway."""
    for number in range(10):
        await charged(caller, f"/tools/both?n={number}")
        await charged(caller, f"/tools/both?n={number}")
    raw = b"".join(caller.shop.gateway.request(f"/tools/both?n={number}", caller.tenant.key) for number in range(10))
    async with await RawClient.connect(caller.shop.gateway.address) as client:
        await client.send(raw)
        assert await client.until(lambda: client.received.count(b"x-credits-charged: ") == 10, 10)
    heads = bytes(client.received).decode().split("x-credits-charged: ")[1:]
    expected = [min(CREDITS, 100_000 * number + 1_000) for number in range(10)]
    assert [round(float(head.split("\r\n")[0]) * CREDITS) for head in heads] == expected


@pytest.mark.parametrize(("size", "said"), [(0, "0.1"), (1, "0.1"), (1_000, "0.1"), (1_001, "0.2"), (20_000, "1")])
async def test_an_announced_body_is_paid_by_its_length(caller: Buyer, size: int, said: str) -> None:
    raw = caller.shop.gateway.request("/tools/body", caller.tenant.key, method="POST", body=b"x" * size)
    answer = await caller.shop.gateway.ask(raw, "POST")
    assert answer.status == 200
    # Without a body it costs nothing, and says as little of credits as what is free.
    assert answer.values("x-credits-charged") == ([said] if size else [])
    assert await caller.spent(1) == (round(float(said) * CREDITS) if size else 0)


async def test_a_body_of_unknown_length_costs_the_whole_price(caller: Buyer) -> None:
    raw = caller.shop.gateway.request("/tools/body", caller.tenant.key, "Transfer-Encoding: chunked", method="POST")
    answer = await caller.shop.gateway.ask(raw + b"1\r\nx\r\n0\r\n\r\n", "POST")
    assert (answer.status, answer.values("x-credits-charged")) == (200, ["1"])
    assert await caller.spent(1) == CREDITS


async def test_what_it_costs_is_what_must_be_there(tools: dict[str, UUID], shop: Shop) -> None:
    """Not the whole price: 0.05 credits are enough for what costs that, and not for more."""
    poor = await shop.buyer(CREDITS // 20)
    answer = await poor.ask("/tools/days/6")
    assert answer.status == 402
    document = json.loads(answer.body)
    assert (document["required_micro"], document["available_micro"]) == (60_000, 50_000)
    assert await charged(poor, "/tools/days/5") == "0.05"
    assert (await poor.ask("/tools/days/1")).status == 402
    assert (await poor.ask("/tools/days/0")).status == 200
    assert await poor.spent(4) == CREDITS // 20


@pytest.mark.parametrize(
    ("query", "lines", "micro"),
    [
        ("", (), 100_000),
        ("?n=3", (), 300_000),
        ("?n=0", (), 0),
        ("?n=30", (), CREDITS),
        ("?n=many", (), CREDITS),
        ("?n=3", ("X-PE-Cost: 0.25",), 250_000),
        ("?n=3", ("X-PE-Cost: 0.9",), 900_000),
        ("?n=3", ("X-PE-Cost: 0",), 0),
        ("?n=3", ("X-PE-Cost: 1.5",), CREDITS),
    ],
)
async def test_a_reservation_holds_the_whole_price_and_costs_what_its_fields_say(
    caller: Buyer, query: str, lines: tuple[str, ...], micro: int
) -> None:
    shop = caller.shop
    head = "\r\n".join(["HTTP/1.1 200 OK", "Content-Length: 2", *lines, "", "ok"])
    shop.upstream.script("/held", Script(head.encode()))
    assert round(float(await charged(caller, f"/tools/held{query}")) * CREDITS) == micro
    assert await caller.rows(1) == [("served", 200, micro)]
    assert await caller.spent(1) == micro
    held = await shop.pool.fetchrow(
        "select amount_micro, state, settled_micro from credit_reservation where organization_id = $1", caller.id
    )
    assert tuple(held) == (CREDITS, "settled" if micro else "released", micro)


async def test_a_reservation_must_find_the_whole_price(tools: dict[str, UUID], shop: Shop) -> None:
    poor = await shop.buyer(CREDITS - 1)
    answer = await poor.ask("/tools/held?n=1")
    assert (answer.status, json.loads(answer.body)["required_micro"]) == (402, CREDITS)


async def test_what_fails_costs_nothing(caller: Buyer) -> None:
    caller.shop.upstream.script("tools-fail", Script(b"HTTP/1.1 500 No\r\nContent-Length: 2\r\n\r\nno"))
    for _ in range(WARM):
        answer = await caller.ask("/tools/pages?pages=3&x=tools-fail")
        assert (answer.status, answer.values("x-credits-charged")) == (500, ["0"])
    assert await caller.spent(WARM) == 0


async def test_a_plans_price_is_the_most_that_its_callers_pay(caller: Buyer, tools: dict[str, UUID]) -> None:
    await caller.shop.pool.execute(
        "insert into plan_price (plan_id, operation_id, price_micro) select id, $2, 14000 from plan where slug = $1",
        f"plan-{caller.tenant.slug}",
        tools["pages"],
    )
    async with asyncio.timeout(10):
        while await charged(caller, "/tools/pages?pages=3") != "0.014":
            await asyncio.sleep(0.02)
    assert [await charged(caller, f"/tools/pages?pages={pages}") for pages in (1, 2, 3, "x")] == [
        "0.012",
        "0.014",
        "0.014",
        "0.014",
    ]


async def test_another_formula_applies_to_known_heads(shop: Shop, caller: Buyer) -> None:
    async with shop.pool.acquire() as connection:
        made = await operations.create(
            connection, service_slug="tools", method="*", path_pattern=f"/{caller.tenant.slug}", name="changing",
            price_micro=CREDITS, cost_formula="0.01 * query.n",
        )  # fmt: skip
        target = f"/tools/{caller.tenant.slug}?n=2"

        async def until_it_costs(said: list[str]) -> None:
            async with asyncio.timeout(10):
                while (await caller.ask(target)).values("x-credits-charged") != said:
                    await asyncio.sleep(0.02)

        await until_it_costs(["0.02"])
        await charged(caller, target)
        await operations.change(connection, made.id, cost_formula="0.03 * query.n")
        await until_it_costs(["0.06"])
        await operations.change(connection, made.id, cost_formula="")
        await until_it_costs(["1"])
        await connection.execute("update operation set cost_formula = '0.01 * nonsense' where id = $1", made.id)
        await operations.change(connection, made.id, price_micro=CREDITS // 2, at_once=True)
        await until_it_costs(["0.5"])


async def test_a_spend_cap_keeps_what_it_cost_and_wants_room_for_the_whole_price(shop: Shop, caller: Buyer) -> None:
    await shop.pool.execute("update organization set spend_cap_day_micro = 1050000 where id = $1", caller.id)
    async with asyncio.timeout(10):
        while not json.loads((await caller.ask("/user/usage")).body)["spend_caps"]:
            await asyncio.sleep(0.02)
    for used in ("0.01", "0.02", "0.03", "0.04", "0.05", "0.06"):
        assert await charged(caller, "/tools/days/1") == "0.01"
        assert json.loads((await caller.ask("/user/usage")).body)["spend_caps"][0]["used"] == used
    answer = await caller.ask("/tools/days/1")
    assert (answer.status, json.loads(answer.body)["code"]) == (402, "spend_cap_reached")
    assert await caller.spent(7) == 60_000
