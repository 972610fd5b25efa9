"""Spend caps through the whole gateway: what is charged counts, what is not comes back, a change holds at once."""

import json
import secrets

from domain.spend_caps import set_key_caps, set_organization_caps
from tests.integration.gateway.quotas.conftest import CREDIT, Market
from tests.wire.upstream import Script


async def test_a_cap_of_the_organization_refuses_what_would_go_over_it(market: Market) -> None:
    buyer, shop = await market.buyer(billing_mode="credits", day=2_150_000), market.shop
    assert await buyer.statuses(f"/{shop}/dear/1", f"/{shop}/dear/2") == [200, 200]
    refused = await buyer.ask(f"/{shop}/dear/3")
    problem = json.loads(refused.body)
    assert (refused.status, problem["code"]) == (402, "spend_cap_reached")
    assert problem["violated_policies"] == ["spend_cap.day"]
    assert (problem["spend_cap"], problem["required_credits"], problem["remaining_credits"]) == ("2.15", "1", "0.15")
    assert 0 < problem["retry_after_seconds"] <= 86_400
    assert "spend_cap" not in refused.first("ratelimit-policy")
    assert await buyer.statuses(f"/{shop}/cheap/1", f"/{shop}/cheap/2", f"/{shop}/free/1", f"/{shop}/x") == [
        *[200, 402],
        *[200, 200],
    ]
    (cap,) = (await buyer.usage())["spend_caps"]
    assert cap.pop("resets_at")
    assert cap == {"scope": "organization", "period": "day", "cap": "2.15", "used": "2.1", "remaining": "0.05"}


async def test_caps_of_a_key_are_its_own_and_the_tightest_binds(market: Market) -> None:
    buyer, shop = (
        await market.buyer(
            billing_mode="credits", month=50 * CREDIT, key_caps={"month": 2 * CREDIT, "day": 9 * CREDIT}
        ),
        market.shop,
    )
    assert await buyer.statuses(*[f"/{shop}/dear/{number}" for number in range(3)]) == [200, 200, 402]
    problem = json.loads((await buyer.ask(f"/{shop}/dear/4")).body)
    assert problem["violated_policies"] == ["key_spend_cap.month"]
    caps = (await buyer.usage())["spend_caps"]
    assert [(cap["scope"], cap["period"], cap["used"], cap["cap"]) for cap in caps] == [
        ("organization", "month", "2", "50"),
        ("key", "day", "2", "9"),
        ("key", "month", "2", "2"),
    ]


async def test_what_is_not_charged_comes_back(market: Market) -> None:
    buyer = await market.buyer(billing_mode="credits", day=2 * CREDIT)
    assert await buyer.statuses(*[f"/{market.gone}/dear/{number}" for number in range(5)]) == [502] * 5
    assert (await buyer.usage())["spend_caps"][0]["used"] == "0"
    assert await buyer.statuses(*[f"/{market.shop}/dear/{number}" for number in range(3)]) == [200, 200, 402]


async def test_an_answer_that_is_not_charged_comes_back_and_one_that_cost_less_in_part(market: Market) -> None:
    buyer, shop, tag = await market.buyer(billing_mode="credits", day=2 * CREDIT), market.shop, secrets.token_hex(4)
    broken, streamed = f"/dear/broken-{tag}", f"/dear/streamed-{tag}"
    market.upstream.script(broken, Script(b"HTTP/1.1 500 No\r\nContent-Length: 2\r\n\r\nno"))
    market.upstream.script(
        streamed, Script(b"HTTP/1.1 404 No\r\nTransfer-Encoding: chunked\r\n\r\n", delay_ms=20, late=b"0\r\n\r\n")
    )
    targets = [f"/{shop}{broken}", f"/{shop}{streamed}"]
    assert await buyer.statuses(*targets * 3) == [500, 404] * 3
    assert (await buyer.usage())["spend_caps"][0]["used"] == "0"
    part = f"/reserved/part-{tag}"
    market.upstream.script(part, Script(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nX-PE-Cost: 0.25\r\n\r\nok"))
    assert await buyer.statuses(*[f"/{shop}{part}"] * 4) == [200] * 4
    assert (await buyer.usage())["spend_caps"][0]["used"] == "1"
    assert await buyer.statuses(*[f"/{shop}/dear/{number}" for number in range(2)]) == [200, 402]


async def test_who_has_no_credits_uses_up_no_cap(market: Market) -> None:
    buyer, shop = await market.buyer(billing_mode="credits", day=2 * CREDIT, credits=CREDIT), market.shop
    answers = [await buyer.ask(f"/{shop}/dear/{number}") for number in range(4)]
    assert [answer.status for answer in answers] == [200, 402, 402, 402]
    assert {json.loads(answer.body)["code"] for answer in answers[1:]} == {"out_of_credits"}
    assert (await buyer.usage())["spend_caps"][0]["used"] == "1"


async def test_a_cap_that_is_set_lowered_raised_or_taken_off_holds_within_a_second(market: Market) -> None:
    buyer, target = await market.buyer(billing_mode="credits"), f"/{market.shop}/dear/1"
    assert await buyer.statuses(*[target] * 3) == [200] * 3
    await set_organization_caps(market.connection, buyer.slug, {"day": CREDIT // 2})
    assert (await buyer.ask_until(target, lambda answer: answer.status == 402)).status == 402
    await set_organization_caps(market.connection, buyer.slug, {"day": 100 * CREDIT})
    await buyer.ask_until(target, lambda answer: answer.status == 200)
    await set_key_caps(market.connection, buyer.key_id, {"month": 0}, organization_id=buyer.organization_id)
    refused = await buyer.ask_until(target, lambda answer: answer.status == 402)
    assert json.loads(refused.body)["violated_policies"] == ["key_spend_cap.month"]
    await set_key_caps(market.connection, buyer.key_id, {"month": None}, organization_id=buyer.organization_id)
    await buyer.ask_until(target, lambda answer: answer.status == 200)
    # Lowered below what was spent: nothing of what workers still hold may be spent.
    await set_organization_caps(market.connection, buyer.slug, {"day": CREDIT})
    await buyer.ask_until(target, lambda answer: answer.status == 402)
    assert await buyer.statuses(*[target] * 5) == [402] * 5


async def test_beyond_quotas_caps_bind_and_within_them_they_do_not(market: Market) -> None:
    buyer, shop = await market.buyer("8/month", overage="credits", day=CREDIT), market.shop
    assert await buyer.statuses(*[f"/{shop}/dear/{number}" for number in range(3)]) == [200] * 3
    assert (await buyer.usage())["spend_caps"][0]["used"] == "1"
    problem = json.loads((await buyer.ask(f"/{shop}/dear/4")).body)
    assert (problem["code"], problem["violated_policies"]) == ("spend_cap_reached", ["spend_cap.day"])
