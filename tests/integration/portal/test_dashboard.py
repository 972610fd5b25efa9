"""The dashboard: what it shows, to whom, in how many queries; and the same as JSON."""

from datetime import UTC, datetime
from uuid import uuid4

import pytest

from portal.web import page as web_page
from tests.usage import call, stored


@pytest.fixture
async def used(portal, owner):
    """An organization with some requests, of which two are not folded yet."""
    organization, now, service = owner.organization.id, datetime.now(UTC), uuid4()
    key = await portal.pool.fetchval(
        "insert into api_key (organization_id, name, scheme, prefix, last4, digest)"
        " values ($1, 'Production <b>', 'sha256', 'pe_live_abc', 'wxyz', sha256($2::bytea)) returning id",
        organization,
        uuid4().bytes,
    )
    async with portal.pool.acquire() as connection:
        calls = [call(organization, now, key, service, total_us=20_000) for _ in range(5)]
        await stored(connection, [*calls, call(organization, now, key, service, status=500)])
        refused = call(organization, now, uuid4(), service, status=429, outcome="refused", path=b"/<script>")
        await stored(connection, [refused, call(organization, now, key, service)], folded=False)
    return key


async def test_the_page_shows_what_was_used(owner, used):
    page = await owner.browser.get(owner.root)
    assert page.status_code == 200
    assert '<span class="stat-value">8</span>' in page.text
    assert "Production &lt;b&gt;" in page.text
    assert "pe_live_abc\u2026wxyz" in page.text
    assert "Deleted key" in page.text
    assert "Deleted service" in page.text
    assert "/&lt;script&gt;" in page.text
    assert "<b>" not in page.text
    assert "<script>" not in page.text
    assert " style=" not in page.text
    for name in ("requests-wide", "requests-narrow", "errors-only", "latency-only"):
        assert f'aria-labelledby="{name}-title {name}-text"' in page.text


@pytest.mark.parametrize("range_", ["24h", "7d", "30d", "90d"])
async def test_every_range_and_filter_combines(owner, used, range_):
    for query in (f"key={used}", f"key={used}&service={uuid4()}", f"operation={uuid4()}", "key=&service=&operation="):
        page = await owner.browser.get(f"{owner.root}?range={range_}&{query}")
        assert page.status_code == 200
        assert f"range={range_}" in page.text


@pytest.mark.parametrize("query", ["range=1y", "key=nothing", "operation=1", "service=%00"])
async def test_a_filter_that_can_be_none_is_told(owner, query):
    page = await owner.browser.get(f"{owner.root}?{query}")
    assert page.status_code == 422


async def test_a_new_organization_is_told_what_to_do(portal, owner):
    page = await owner.browser.get(owner.root)
    assert "Make your first call" in page.text
    assert "X-API-Key: YOUR_API_KEY" in page.text
    assert "usage-stats" not in page.text
    assert f'href="{owner.root}/keys/new"' in page.text
    viewer = await portal.person("viewer", owner.organization)
    assert "Your role may not create keys" in (await viewer.browser.get(owner.root)).text


async def test_who_may_not_see_what_is_paid_sees_no_credits(portal, owner, used):
    viewer = await portal.person("viewer", owner.organization)
    page = await viewer.browser.get(owner.root)
    assert page.status_code == 200
    assert "Credits" not in page.text.partition("<main")[2].replace("Limits and credits now", "")
    stats = (await viewer.browser.api("GET", "/dashboard/stats")).json()
    assert stats["credits"] is stats["total"]["credits"] is stats["keys"][0]["credits"] is None
    assert "credits" not in stats["change"]
    refused = await viewer.browser.api("GET", "/dashboard/chart-data?metric=credits")
    assert refused.status_code == 403


async def test_a7_anothers_dashboard_key_and_usage_do_not_exist(portal, owner, used):
    other = await portal.person()
    assert (await other.browser.get(owner.root)).status_code == 404
    assert (await other.browser.get(f"{owner.root}/live")).status_code == 404
    stats = (await other.browser.api("GET", f"/dashboard/stats?key={used}")).json()
    assert stats["total"]["requests"] == 0
    assert stats["keys"] == []
    page = await other.browser.get(f"{other.root}?key={used}")
    assert "Production" not in page.text
    named = {"pe-organization": owner.organization.slug}
    assert (await other.browser.api("GET", "/dashboard/stats", headers=named)).status_code == 404


async def test_limits_are_those_of_the_plan_and_nothing_is_used_by_looking(portal, owner):
    for _ in range(2):
        stats = (await owner.browser.api("GET", "/dashboard/stats")).json()
        assert stats["plan"] == "Portal plan"
        assert [(limit["name"], limit["amount"], limit["used"]) for limit in stats["limits"]] == [
            ("hour", 1_000, 0),
            ("day", 10_000, 0),
        ]
        assert all(limit["resets_at"] for limit in stats["limits"])
    await portal.pool.execute(
        "update organization set spend_cap_day_micro = 5000000 where id = $1", owner.organization.id
    )
    caps = (await owner.browser.api("GET", "/dashboard/stats")).json()["limits"]
    assert [(limit["name"], limit["unit"]) for limit in caps][-1] == ("spend_cap.day", "credits")
    viewer = await portal.person("viewer", owner.organization)
    assert all(
        limit["unit"] != "credits" for limit in (await viewer.browser.api("GET", "/dashboard/stats")).json()["limits"]
    )
    await portal.pool.execute(
        "update subscription set state = 'cancelled', ended_at = now() where organization_id = $1",
        owner.organization.id,
    )
    assert (await owner.browser.api("GET", "/dashboard/stats")).json()["plan"] is None
    assert "There is no plan now" in (await owner.browser.get(owner.root)).text


async def test_json_says_the_same_as_the_page(owner, used):
    stats = (await owner.browser.api("GET", "/dashboard/stats?range=7d")).json()
    assert stats["total"]["requests"] == 8
    assert (stats["total"]["errors"], stats["total"]["refused"]) == (2, 1)
    assert stats["total"]["by_status_class"] == {"2xx": 6, "4xx": 1, "5xx": 1}
    assert [line["requests"] for line in stats["keys"]] == [7, 1]
    chart = (await owner.browser.api("GET", f"/dashboard/chart-data?metric=requests&key={used}")).json()
    assert len(chart["slots"]) == len(chart["labels"]) == 24
    assert sum(sum(lane["values"]) for lane in chart["lanes"]) == 7
    latency = (await owner.browser.api("GET", "/dashboard/chart-data?metric=latency&range=90d")).json()
    assert latency["unit"] == "ms"
    assert latency["lanes"][0]["values"][0] is None
    assert latency["lanes"][0]["values"][-1] == pytest.approx(20, rel=0.3)


@pytest.mark.parametrize("query", ["range=1y", "key=x", "metric=speed", "colour=red"])
async def test_json_refuses_what_it_does_not_know(owner, query):
    answer = await owner.browser.api("GET", f"/dashboard/chart-data?{query}")
    assert (answer.status_code, answer.json()["code"]) == (422, "invalid_value")


async def test_a_page_takes_at_most_eight_queries(portal, owner, used, monkeypatch):
    await owner.browser.get(owner.root)
    queries: list[str] = []
    working = web_page.working

    def counting(visit):
        return _counted(working(visit), visit, queries)

    monkeypatch.setattr(web_page, "working", counting)
    await owner.browser.get(f"{owner.root}?range=90d")
    assert 0 < len(queries) <= 8


class _counted:  # noqa: N801  a context manager
    def __init__(self, inner, visit, queries) -> None:
        self.inner, self.visit, self.queries = inner, visit, queries

    async def __aenter__(self) -> None:
        await self.inner.__aenter__()
        self.connection = self.visit.connection
        self.connection.add_query_logger(self._note)

    def _note(self, record) -> None:
        self.queries.append(record.query)

    async def __aexit__(self, *fault) -> None:
        self.connection.remove_query_logger(self._note)
        await self.inner.__aexit__(*fault)
