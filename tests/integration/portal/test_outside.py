"""What anybody sees without signing in: the landing page and the price list, made of plans and services."""

import pytest

from domain import operations, plans, services
from domain.limit_texts import parse_limits
from domain.plan_prices import parse_price
from domain.price_list import limit_words, month_price, read_price_list
from domain.service_catalog import list_catalog
from tests.portals import portal_settings, running_portal
from tests.query_counts import counted


@pytest.fixture
async def market(fresh_database_url, redis_url, mail_folder):
    """A portal on a database of its own, with nothing in it."""
    async with running_portal(portal_settings(fresh_database_url, redis_url, mail_folder)) as made:
        yield made


async def stock(market) -> None:
    """Three public plans, one that is not, and a service."""
    async with market.pool.acquire() as connection, connection.transaction():
        await services.create(
            connection,
            slug="weather",
            prefix="/weather",
            upstreams=["http://127.0.0.1:1"],
            name="Weather <i>",
            featured=True,
        )
        for slug, price, rank, public in (("free", 0, 1, True), ("pro", 4_950, 2, True), ("hidden", 100, 3, False)):
            await plans.create(
                connection, slug=slug, name=slug.title(), limits=parse_limits(["1000/hour", "5 concurrent per key"]),
                price_cents=price, sort_order=rank, public=public, trial_days=14 if price else 0,
            )  # fmt: skip
        await plans.create(
            connection, slug="ultra", name="Ultra & more", price_cents=100_000, currency="CHF", sort_order=4,
            limits=parse_limits([], [], ["50000/month"]), overage="credits", trial_calls=500, trial_days=7, grace_days=1,
        )  # fmt: skip
        made = {"service_slug": "weather", "method": "GET"}
        await operations.create(connection, **made, path_pattern="/day", name="day", price_micro=50_000)
        await operations.create(connection, **made, path_pattern="/deep", name="deep", minimum_plan="pro")
        await plans.change(connection, "ultra", prices=[parse_price("weather:day=0.01")])


async def test_with_nothing_to_sell_the_pages_say_so(market):
    browser = market.browser()
    assert "No plans are offered now" in (await browser.get("/pricing")).text
    page = await browser.get("/")
    assert page.status_code == 200
    assert "/user/usage" in page.text
    assert "Compare plans" not in page.text


async def test_the_price_list_has_public_plans_in_order_with_limits_in_words(market):
    await stock(market)
    async with market.pool.acquire() as connection:
        found = await read_price_list(connection, await list_catalog(connection, None))
    assert [(plan.name, plan.price) for plan in found.plans] == [
        ("Free", "Free"), ("Pro", "$49.50"), ("Ultra & more", "1,000 CHF"),
    ]  # fmt: skip
    assert found.plans[0].lines == ("1,000 requests an hour", "5 requests at once for each key")
    assert found.plans[2].lines == ("50,000 quota units a month", "credits beyond the quotas")
    assert found.plans[2].trial == "7 days free trial, up to 500 requests"
    rows = {f"{row.label} {row.note}".strip(): row.cells for row in found.limits}
    assert rows == {
        "Requests an hour": ("1,000", "1,000", "–"), "Requests at once for each key": ("5", "5", "–"),
        "Quota units a month": ("–", "–", "50,000"), "Beyond the quotas": ("refused", "refused", "paid with credits"),
        "Trial": ("–", "14 days", "7 days, up to 500 requests"), "Goes on when unpaid": ("–", "3 days", "1 day"),
    }  # fmt: skip
    costs = {row.label: row.cells for row in found.operations}
    assert costs == {
        "Weather <i>: day": ("0.05", "0.05", "0.01"),
        "Weather <i>: deep": ("not included", "free", "free"),
    }


async def test_anybody_can_open_both_pages(market):
    await stock(market)
    browser = market.browser()
    for path in ("/", "/pricing"):
        page = await browser.get(path)
        assert page.status_code == 200
        assert "Ultra &amp; more" in page.text
        assert "Weather &lt;i&gt;" in page.text
        assert "Hidden" not in page.text
        assert "begins with 100 credits" in page.text
        async with counted(market.pool) as statements:
            await browser.get(path)
        assert 3 <= len(statements) <= 6, statements
    assert "YOUR_API_KEY" in (await browser.get("/")).text


async def test_who_is_signed_in_goes_to_the_organizations(owner):
    answer = await owner.browser.get("/")
    assert (answer.status_code, answer.headers["location"]) == (303, "/organizations")
    assert (await owner.browser.get("/pricing")).status_code == 200


async def test_where_sign_up_is_closed_nothing_asks_for_it(market):
    market.settings.portal = market.settings.portal.model_copy(update={"sign_up_open": False})
    page = (await market.browser().get("/")).text.partition("<main")[2]
    assert "/sign-up" not in page
    assert "/sign-in" in page


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("1/second", "1 request a second"),
        ("10/day per key on weather:deep dive", "10 requests a day for each key on weather: deep dive"),
    ],
)
def test_limits_are_told_in_words(text, words):
    assert limit_words(parse_limits([text])[0]) == words


def test_prices_are_written_as_people_write_them():
    amounts = [month_price(*each) for each in ((4_900, "EUR"), (123_456_700, "USD"), (5, "JPY"))]
    assert amounts == ["\u20ac49", "$1,234,567", "0.05 JPY"]
