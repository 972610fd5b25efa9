"""An operator's morning: the way in, finding a customer by what one has of them, seeing why a request was refused."""

import re

import pytest

from tests.e2e.flows.customer import seconds_until
from tests.e2e.flows.operator import appointed
from tests.e2e.looks.site import NEEDS_CHROMIUM

pytestmark = [
    pytest.mark.e2e,
    pytest.mark.slow,
    pytest.mark.timeout(240),
    NEEDS_CHROMIUM,
]


async def test_an_operator_sets_up_a_second_factor_and_signing_in_asks_for_it_from_then_on(up, browser, scripted):
    newcomer = await appointed(up, browser, scripted=scripted)
    await newcomer.sign_in()
    await newcomer.says("A password alone opens this back office")
    await newcomer.set_up_factor()
    assert await newcomer.page.locator("h1").inner_text() == "Overview"
    assert await newcomer.page.get_by_text("A password alone").count() == 0
    await newcomer.sign_out()
    await newcomer.go("/audit")
    await newcomer.fill(email=newcomer.email, password=newcomer.password)
    await newcomer.press("Sign in")
    await newcomer.fill(code="000000")
    await newcomer.press("Sign in")
    await newcomer.page.get_by_role("alert").wait_for()
    await newcomer.fill(code=newcomer.code())
    await newcomer.press("Sign in")
    assert await newcomer.page.locator("h1").inner_text() == "Audit"
    await newcomer.context.close()
    assert newcomer.wrong == []


async def test_a_customer_is_found_by_address_by_beginning_of_a_key_and_by_request_id(operator):
    email = f"mia-{operator.scripted}@example.com".lower()
    client = await operator.client("Mia Maps", "free", owner=email, bonus="1")
    _, headers, _ = operator.up.call(client.key)
    organization = re.compile(f"/organizations/{client.slug}$")

    await operator.look_up(email)
    await operator.page.wait_for_url("**/users/*")
    await operator.press("Mia Maps")
    await operator.page.wait_for_url(organization)

    await operator.look_up(client.prefix)
    await operator.page.wait_for_url("**/keys/*")
    assert client.key not in await operator.page.content()
    await operator.press(client.slug)
    await operator.page.wait_for_url(organization)

    await operator.open_request(headers["x-request-id"])
    await operator.look_up(headers["x-request-id"])
    await operator.page.wait_for_url(f"**/requests/{headers['x-request-id']}")
    await operator.press(client.slug)
    await operator.page.wait_for_url(organization)


async def test_a_whole_key_that_is_looked_for_finds_its_owner_and_leaves_the_address(operator):
    client = await operator.client("Pasted Keys", "free")
    await operator.look_up(client.key)
    await operator.page.wait_for_url("**/keys/*")
    assert client.key not in operator.page.url + await operator.page.content()


async def test_a_rate_limited_request_is_explained_with_the_limit_that_was_used_up_and_what_to_do(operator):
    client = await operator.client("Small Weather", "e2e-tiny", bonus="1")
    seconds_until(lambda: operator.up.call(client.key)[0] == 429, 20)
    status, headers, _ = operator.up.call(client.key)
    assert status == 429
    await operator.open_request(headers["x-request-id"])
    await operator.says(re.compile(r"Used up: .*2.*minute.* There was room again .+ after this request"))
    await operator.says("How it was decided")
    await operator.press("Raise it for a time")
    assert await operator.page.locator("[name=organization]").input_value() == client.slug
    assert await operator.page.locator("[name=limit]").input_value() == "minute"


async def test_a_request_that_was_refused_for_want_of_credits_is_explained_and_leads_to_a_grant(operator):
    client = await operator.client("Empty Purse", "free")
    status, headers, _ = operator.up.call(client.key)
    assert status == 402
    await operator.open_request(headers["x-request-id"])
    await operator.says(re.compile("credits"))
    await operator.press("Grant credits")
    assert await operator.page.locator("[name=organization]").input_value() == client.slug
