"""What the dashboard says of limits is what the data plane's limiter counts, and what /user/usage says."""

from uuid import uuid4

import pytest

from domain import keys, plans
from domain.catalog.key_reading import read_key
from domain.limit_texts import parse_limits
from domain.plan_terms import snapshot_of
from domain.plan_versions import read_terms
from domain.quotas.limiter import Limiter

LIMITS = ["50/second", "100/minute", "1000/hour", "10000/day", "100000/month", "5 concurrent", "30/minute per key"]


@pytest.fixture
async def worker(portal):
    """A gateway worker's limiter on the same Redis."""
    limiter = Limiter(portal.settings.redis, workers=1)
    await limiter.start()
    yield limiter
    await limiter.stop()


async def test_used_is_what_the_gateways_counted_and_not_what_they_hold(portal, owner, worker):
    async with portal.pool.acquire() as connection, connection.transaction():
        slug = f"counted-{uuid4().hex[:8]}"
        plan = await plans.create(connection, slug=slug, limits=parse_limits(LIMITS), name="Counted")
        await connection.execute(
            "update subscription set plan_id = $2, period_start = now() - interval '9 days', started_at = now()"
            " - interval '9 days' where organization_id = $1",
            owner.organization.id,
            plan.id,
        )
        made = await keys.create(connection, portal.settings.keys, organization_id=owner.organization.id, name="k")
        terms = await read_terms(connection, plan.id)
    key = await read_key(portal.pool, portal.settings.keys.pepper_by_version, made.plaintext.encode(), b"")
    snapshot = snapshot_of(plan.id, slug, "Counted", 0, terms)
    for _ in range(7):
        bucket = worker.bucket(key, snapshot)
        if not bucket.take():
            assert (await worker.wait(bucket)).allowed
        bucket.done()

    async def told() -> dict:
        stats = (await owner.browser.api("GET", "/dashboard/stats")).json()
        return {limit["name"]: (limit["used"], limit["remaining"]) for limit in stats["limits"]}

    found = await told()
    expected = {
        "hour": (7, 993),
        "day": (7, 9_993),
        "month": (7, 99_993),
        "minute": (7, 93),
        "minute-key": (None, None),
    }
    assert {name: found[name] for name in expected} == expected
    assert found["concurrent"] == (0, 5)
    page = await owner.browser.get(owner.root)
    assert "7 of 1,000 a hour" in page.text


async def test_while_redis_is_away_limits_are_told_without_what_is_used(portal, owner, monkeypatch):
    limiter = portal.app.state.services.limiter
    monkeypatch.setattr(limiter.status(), "redis_ok", False)
    stats = (await owner.browser.api("GET", "/dashboard/stats")).json()
    assert [(limit["amount"], limit["used"]) for limit in stats["limits"]] == [(1_000, None), (10_000, None)]
    assert "not known now of 1,000" in (await owner.browser.get(owner.root)).text
