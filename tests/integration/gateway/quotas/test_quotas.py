"""Quotas through the whole gateway: units by operation, refusals that say so, overage with credits, /user/usage."""

import asyncio
import json
import time
from datetime import UTC, datetime

from domain.journal.decision import Flag, unpack_decision
from tests.integration.gateway.quotas.conftest import CREDIT, Market


async def test_operations_take_their_units_and_a_used_up_quota_says_so(market: Market) -> None:
    buyer, shop = await market.buyer("10/month"), market.shop
    assert await buyer.statuses(f"/{shop}/dear/1", f"/{shop}/dear/2") == [200, 200]
    refused = await buyer.ask(f"/{shop}/dear/3")
    problem = json.loads(refused.body)
    assert (refused.status, problem["code"], problem["violated_policies"]) == (429, "quota_exceeded", ["month-quota"])
    assert (problem["limit"], problem["required_units"], problem["remaining_units"]) == (10, 4, 2)
    # A month of the subscription, which began a moment ago.
    assert 27 * 86_400 < problem["retry_after_seconds"] <= 31 * 86_400
    assert refused.first("retry-after") == str(problem["retry_after_seconds"])
    # The remainder is for cheaper operations, and what takes nothing is never refused.
    assert await buyer.statuses(f"/{shop}/cheap/1", f"/{shop}/cheap/2", f"/{shop}/cheap/3") == [200, 200, 429]
    assert await buyer.statuses(f"/{shop}/free/1", f"/{shop}/free/2") == [200, 200]
    assert (await buyer.ask(f"/{shop}/other")).status == 429


async def test_headers_and_usage_show_quotas_in_units(market: Market) -> None:
    buyer, shop = await market.buyer("20/month", "15/day", limits=("50/hour",)), market.shop
    answer = await buyer.ask(f"/{shop}/dear/1")
    policies = answer.first("ratelimit-policy")
    assert '"hour";q=50;w=3600' in policies
    assert '"day-quota";q=15;qu="quota-units";w=86400' in policies
    assert '"month-quota";q=20;qu="quota-units";w=2678400' in policies
    assert '"month-quota";r=16' in answer.first("ratelimit")
    await buyer.statuses(f"/{shop}/cheap/1", f"/{shop}/cheap/2", f"/{shop}/free/1", f"/{shop}/other")
    shown = await buyer.usage_when(
        lambda found: sum(one["requests"] for one in found["quotas"][0]["by_operation"]) == 5
    )
    assert [window["name"] for window in shown["windows"]] == ["hour"]
    day, month = shown["quotas"]
    assert (day["name"], day["unit"], day["limit"], day["used"], day["remaining"]) == ("day-quota", "units", 15, 7, 8)
    assert (month["used"], month["remaining"]) == (7, 13)
    assert month["by_operation"] == [
        {"service": shop, "operation": "dear", "units": 4, "requests": 1},
        {"service": shop, "operation": "cheap", "units": 2, "requests": 2},
        {"service": shop, "operation": None, "units": 1, "requests": 1},
        {"service": shop, "operation": "free", "units": 0, "requests": 1},
    ]
    midnight = datetime.fromisoformat(day["resets_at"])
    assert (midnight.astimezone(UTC).hour + 1) % 24 <= 1, "a day ends at midnight in UTC, up to a rounded second"


async def test_who_pays_with_credits_has_no_quotas(market: Market) -> None:
    buyer, shop = await market.buyer("2/month", billing_mode="credits"), market.shop
    answers = [await buyer.ask(f"/{shop}/cheap/{number}") for number in range(4)]
    assert [answer.status for answer in answers] == [200] * 4
    assert "quota" not in answers[-1].first("ratelimit-policy")
    assert (await buyer.usage())["quotas"] == []


async def test_a_limit_in_requests_goes_before_a_quota(market: Market) -> None:
    buyer, shop = await market.buyer("2/month", limits=("2/hour",)), market.shop
    assert await buyer.statuses(*[f"/{shop}/cheap/{number}" for number in range(2)]) == [200, 200]
    problem = json.loads((await buyer.ask(f"/{shop}/cheap/3")).body)
    assert problem["code"] == "rate_limited"
    assert set(problem["violated_policies"]) == {"hour", "month-quota"}


async def flags(market: Market, organization: str, number: int) -> list[Flag]:
    """Of the decisions of an organization's requests, oldest first, once there are so many."""
    deadline = time.monotonic() + 10
    while True:
        rows = await market.connection.fetch(
            "select l.decision from request_log l join organization o on o.id = l.organization_id"
            " where o.slug = $1 and l.service_id is not null order by l.at, l.id",
            organization,
        )
        if len(rows) >= number:
            return [unpack_decision(row["decision"]).flags for row in rows]
        assert time.monotonic() < deadline
        await asyncio.sleep(0.02)


async def test_beyond_its_quotas_a_plan_may_go_on_with_credits(market: Market) -> None:
    buyer, shop = await market.buyer("9/month", overage="credits", limits=("7/hour",)), market.shop
    assert await buyer.statuses(*[f"/{shop}/dear/{number}" for number in range(4)]) == [200] * 4
    # One unit is left for what takes no more than that; then it goes on with credits too.
    assert await buyer.statuses(f"/{shop}/cheap/1", f"/{shop}/cheap/2") == [200, 200]
    found = await flags(market, buyer.slug, 6)
    assert [bool(one & Flag.OVERAGE) for one in found] == [False, False, True, True, False, True]
    rows = await market.connection.fetch(
        "select cost_micro from request_log where organization_id = $1 order by at, id", buyer.organization_id
    )
    assert [row["cost_micro"] for row in rows] == [0, 0, CREDIT, CREDIT, 0, CREDIT // 10]
    # What costs no credits can't be paid for with them.
    problem = json.loads((await buyer.ask(f"/{shop}/other")).body)
    assert (problem["code"], problem["violated_policies"]) == ("quota_exceeded", ["month-quota"])
    # Requests beyond the quotas count in every other limit.
    assert (await buyer.ask(f"/{shop}/dear/5")).status == 200
    problem = json.loads((await buyer.ask(f"/{shop}/dear/6")).body)
    assert (problem["code"], problem["violated_policies"]) == ("rate_limited", ["hour"])
    assert (await buyer.usage())["quotas"][0]["used"] == 9


async def test_a_cost_that_changes_holds_within_a_second(market: Market) -> None:
    buyer, shop = await market.buyer("1000/month"), market.shop
    assert '"month-quota";r=999' in (await buyer.ask(f"/{shop}/cheap/1")).first("ratelimit")
    await market.connection.execute(
        "update operation set quota_cost = 1001 where name = 'cheap'"
        " and service_id = (select id from service where slug = $1)",
        shop,
    )
    refused = await buyer.ask_until(f"/{shop}/cheap/2", lambda answer: answer.status == 429)
    problem = json.loads(refused.body)
    assert problem["code"] == "quota_exceeded"
    assert "more than the quota" in problem["detail"]
