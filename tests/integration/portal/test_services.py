"""The catalog: what each organization sees of the services, at its own prices, and why something cannot be called."""

import secrets
from datetime import UTC, datetime, timedelta

import pytest

from domain import operations, plans, services
from domain.limit_texts import parse_limits
from domain.plan_prices import parse_price, parse_quota_cost
from domain.service_catalog import fetch_from_catalog, list_catalog
from tests.portals import PLAN
from tests.query_counts import counted


@pytest.fixture
async def weather(portal, owner):
    """A service with two operations, and a plan above that of the owner."""
    slug = f"weather-{secrets.token_hex(4)}"
    async with portal.pool.acquire() as connection:
        await plans.create(
            connection, slug=f"gold-{slug}", name="Gold <b>", limits=parse_limits(["9/hour"]), sort_order=90
        )
        await services.create(
            connection, slug=slug, prefix=f"/{slug}", upstreams=["http://127.0.0.1:1"], name="Weather <i>",
            description="Sun & rain.", category="Data", featured=True, beta=True,
        )  # fmt: skip
        await operations.create(
            connection, service_slug=slug, method="GET", path_pattern="/days/{day_id}", name="day", price_micro=50_000
        )
        await operations.create(
            connection, service_slug=slug, method="POST", path_pattern="/alerts", name="alert", price_micro=1_000_000,
            minimum_plan=f"gold-{slug}", replays=True,
        )  # fmt: skip
    yield slug
    await portal.pool.execute("delete from service where slug = $1", slug)


async def seen(portal, person, slug):
    """The service as the person's organization sees it."""
    return await fetch_from_catalog(portal.pool, person.organization.id, slug)


async def test_the_catalog_shows_badges_prices_and_what_is_locked(portal, owner, weather):
    page = await owner.browser.get(f"{owner.root}/services")
    assert page.status_code == 200
    for word in ("Weather &lt;i&gt;", "Sun &amp; rain.", "featured", "beta", "new", "Data"):
        assert word in page.text
    one = await owner.browser.get(f"{owner.root}/services/{weather}")
    assert "0.05 credits" in one.text
    assert "Needs the plan Gold &lt;b&gt; or a higher one." in one.text
    assert f"/{weather}/<wbr>days" in one.text or "days/<wbr>{day_id}" in one.text


async def test_a_service_is_new_for_thirty_days(portal, owner, weather):
    assert "new" in (await seen(portal, owner, weather)).badges
    old = datetime.now(UTC) - timedelta(days=31)
    await portal.pool.execute("update service set created_at = $2 where slug = $1", weather, old)
    assert (await seen(portal, owner, weather)).badges == ("featured", "beta")


async def test_what_is_coming_soon_is_shown_and_says_so_and_what_is_off_is_not_there(portal, owner, weather):
    await services.update(portal.pool, weather, coming_soon=True)
    shown = await seen(portal, owner, weather)
    assert "soon" in shown.badges
    assert "new" not in shown.badges
    assert all(operation.locked.startswith("Coming soon") for operation in shown.operations)
    page = await owner.browser.get(f"{owner.root}/services/{weather}/{shown.operations[0].id}")
    assert "Coming soon" in page.text
    assert 'name="key"' not in page.text
    await services.update(portal.pool, weather, enabled=False)
    assert (await owner.browser.get(f"{owner.root}/services/{weather}")).status_code == 404
    assert weather not in (await owner.browser.get(f"{owner.root}/services")).text
    assert (await owner.browser.get(f"{owner.root}/services/{weather}/{shown.operations[0].id}")).status_code == 404


async def test_prices_are_those_of_the_organizations_own_terms(portal, owner, weather):
    async def price() -> int:
        found = await seen(portal, owner, weather)
        return next(each.price_micro for each in found.operations if each.name == "day")

    assert await price() == 50_000
    async with portal.pool.acquire() as connection, connection.transaction():
        await plans.change(connection, PLAN, prices=[parse_price(f"{weather}:day=0.02")])
    assert await price() == 50_000  # bought before the change: this period's terms stay
    buyer = await portal.person()
    found = await seen(portal, buyer, weather)
    assert next(each.price_micro for each in found.operations if each.name == "day") == 20_000
    nobody = await fetch_from_catalog(portal.pool, None, weather)
    assert [each.price_micro for each in nobody.operations] == [1_000_000, 50_000]
    assert not any(each.locked for each in nobody.operations)


async def test_who_is_on_quotas_sees_units_and_no_price(portal, owner, weather):
    async with portal.pool.acquire() as connection, connection.transaction():
        await plans.change(connection, PLAN, prices=[parse_quota_cost(f"{weather}:day=7")], at_once=True)
    await portal.pool.execute("update organization set billing_mode = 'quota' where id = $1", owner.organization.id)
    page = await owner.browser.get(f"{owner.root}/services/{weather}")
    assert "7 quota units" in page.text
    assert "0.05 credits" not in page.text


async def test_without_a_subscription_everything_is_locked(portal, owner, weather):
    await portal.pool.execute(
        "update subscription set state = 'expired', ended_at = now() where organization_id = $1", owner.organization.id
    )
    found = await seen(portal, owner, weather)
    assert all("no active subscription" in operation.locked for operation in found.operations)


async def test_examples_are_ready_to_paste_and_have_a_place_for_the_key(portal, owner, weather):
    found = await seen(portal, owner, weather)
    by_name = {operation.name: operation for operation in found.operations}
    page = (await owner.browser.get(f"{owner.root}/services/{weather}/{by_name['day'].id}")).text
    url = f"http://localhost:{portal.settings.gateway.port}/{weather}/days/1"
    assert f"curl {url} \\\n  -H &#39;X-API-Key: YOUR_API_KEY&#39;" in page
    assert "httpx.request(" in page
    assert "await fetch(" in page
    page = (await owner.browser.get(f"{owner.root}/services/{weather}/{by_name['alert'].id}")).text
    assert "Idempotency-Key: $(uuidgen)" in page
    assert "-d &#39;{}&#39;" in page
    assert 'name="key"' not in page


async def test_the_api_tells_the_same(portal, owner, weather):
    one = await owner.browser.api("GET", f"/services/{weather}")
    assert one.status_code == 200
    body = one.json()
    assert body["badges"] == ["featured", "beta", "new"]
    assert body["url"].endswith(f"/{weather}")
    day, alert = sorted(body["operations"], key=lambda each: each["name"], reverse=True)
    assert (day["price"], day["path"], day["locked"]) == ("0.05", f"/{weather}/days/{{day_id}}", None)
    assert (alert["replays"], alert["locked"]) == (True, "Needs the plan Gold <b> or a higher one.")
    listed = (await owner.browser.api("GET", "/services")).json()["data"]
    assert body in listed
    for slug in ("no-such-service", "%00", "A%20b"):
        assert (await owner.browser.api("GET", f"/services/{slug}")).status_code == 404


async def test_the_pages_of_services_ask_the_database_at_most_six_times(portal, owner, weather):
    found = await seen(portal, owner, weather)
    await owner.browser.get(f"{owner.root}/services")
    for path in ("", f"/{weather}", f"/{weather}/{found.operations[0].id}"):
        async with counted(portal.pool) as statements:
            assert (await owner.browser.get(f"{owner.root}/services{path}")).status_code == 200
        assert 3 <= len(statements) <= 6, statements


async def test_a_key_can_be_bound_to_what_the_catalog_has(portal, owner, weather):
    form = {"name": "Narrow", "environment": "live", "reach": "some", "scopes": [f"{weather}:day", weather]}
    made = await owner.browser.post(f"{owner.root}/keys/new", form)
    assert made.status_code == 201
    assert f"/{weather}/days/1" in made.text
    scopes = await portal.pool.fetchval("select scopes from api_key where organization_id = $1", owner.organization.id)
    assert scopes == [weather, f"{weather}:day"]
    del form["reach"]
    assert (await owner.browser.post(f"{owner.root}/keys/new", {**form, "name": "Chosen"})).status_code == 201
    narrow = "select count(*) from api_key where organization_id = $1 and cardinality(scopes) = 2"
    assert await portal.pool.fetchval(narrow, owner.organization.id) == 2
    new = (await owner.browser.get(f"{owner.root}/keys/new")).text
    assert f'value="{weather}:alert"' in new


async def test_categories_keep_the_catalogs_order_with_featured_services_first(portal, owner, weather):
    from portal.pages.services import by_category

    names = [f"{weather}-{number}" for number in range(3)]
    for number, name in enumerate(names):
        await services.create(
            portal.pool, slug=name, prefix=f"/{name}", upstreams=["http://127.0.0.1:1"], sort_order=number - 9,
            category=f"Z {weather}", featured=number == 2,
        )  # fmt: skip
    categories = dict(by_category(await list_catalog(portal.pool, owner.organization.id)))
    assert [each.slug for each in categories[f"Z {weather}"]] == [names[2], names[0], names[1]]
    assert next(iter(categories)) == f"Z {weather}"
    await portal.pool.execute("delete from service where slug = any($1)", names)
