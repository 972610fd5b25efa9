"""A replay decides as the real gateway did, row by row: the same requests, the same limits, on the real Valkey.

The draft of one plan is the plan of another customer, who sends the same requests to the same gateway.
"""

import asyncio
import random
import time
from datetime import UTC, datetime

import pytest

from domain.log_store.store import POSTGRES
from domain.what_if.drafts import read_draft
from domain.what_if.history import DEMAND
from domain.what_if.organizations import Replayed
from domain.what_if.replaying import what_if
from domain.what_if.results import Range
from domain.what_if.scopes import Scope
from tests.integration.gateway.quotas.conftest import CREDIT, Market

REQUESTS = 60
PLANS = (
    {"limits": ("20/hour", "30/day"), "credits": 100 * CREDIT},
    {"limits": ("45/hour", "12/day per key"), "credits": 100 * CREDIT},
    {"limits": ("50/day",), "credits": 7 * CREDIT},
    {"quotas": ("40/month", "35/day"), "limits": ("55/hour",)},
    {"quotas": ("40/month",), "limits": ("48/hour",), "overage": "credits", "credits": 9 * CREDIT},
)
_ROWS = """
    select id, refusal, cost_micro from request_log
     where organization_id = $1 and (outcome <> 'refused' or refusal = any($2)) order by id
"""


async def written(market: Market, organization_id, number: int) -> list:
    """The rows of an organization, once they are all there."""
    deadline = time.monotonic() + 15
    while len(rows := await market.connection.fetch(_ROWS, organization_id, list(DEMAND))) < number:
        assert time.monotonic() < deadline, len(rows)
        await asyncio.sleep(0.05)
    return rows


def trace(seed: int) -> list[str]:
    chance = random.Random(seed)
    return [chance.choice(["cheap/1", "cheap/2", "dear/1", "free/1", "reserved/1", "other"]) for _ in range(REQUESTS)]


@pytest.mark.parametrize("number", range(len(PLANS)))
async def test_a_replay_admits_what_the_gateway_admitted_on_both_sides(market: Market, number: int, monkeypatch):
    if time.time() % 3_600 > 3_590:
        await asyncio.sleep(11)
    now, other = PLANS[number], PLANS[(number + 1) % len(PLANS)]
    # The mode of payment is the customer's and no draft changes it.
    other = other if ("quotas" in other) == ("quotas" in now) else now
    asked = trace(number)
    buyers = [await bought(market, sold, now) for sold in (now, other)]
    for path in asked:
        for buyer in buyers:
            await buyer.ask(f"/{market.shop}/{path}")
    rows = [await written(market, buyer.organization_id, REQUESTS) for buyer in buyers]
    decided: list[tuple[bool, bool]] = []
    asking = Replayed.ask

    def watched(self, one):
        before = self._now.refused, self._draft.refused
        asking(self, one)
        decided.append((self._now.refused > before[0], self._draft.refused > before[1]))

    monkeypatch.setattr(Replayed, "ask", watched)
    plan = await market.connection.fetchval(
        "select p.slug from subscription s join plan p on p.id = s.plan_id where s.organization_id = $1",
        buyers[1].organization_id,
    )
    draft = await read_draft(market.connection, plan)
    scope = Scope(days=0, today=True, organizations=(buyers[0].slug,))
    found = await what_if(market.connection, draft, scope, POSTGRES, now=datetime.now(UTC))
    in_fact = [[row["refusal"] is not None for row in each] for each in rows]
    assert decided == list(zip(*in_fact, strict=True))
    (one,) = found.impacts
    assert sum(in_fact[0]) > 0
    for side, each in ((one.now, rows[0]), (one.draft, rows[1])):
        spent = sum(row["cost_micro"] for row in each)
        refused = sum(row["refusal"] is not None for row in each)
        assert (side.refused, side.spent) == (Range(refused, refused), Range(spent, spent))


async def bought(market: Market, sold: dict, now: dict):
    return await market.buyer(
        *sold.get("quotas", ()),
        limits=sold.get("limits", ()),
        billing_mode="quota" if "quotas" in sold else "credits",
        overage=sold.get("overage", "block"),
        credits=now.get("credits", CREDIT),
    )
