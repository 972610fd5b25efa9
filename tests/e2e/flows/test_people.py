"""What a new customer does around the keys: sign up, come back, invite, change the plan, leave."""

import re

import pytest

from tests.e2e.flows.customer import run_curl, seconds_until
from tests.e2e.looks.site import NEEDS_CHROMIUM

pytestmark = [
    pytest.mark.e2e,
    pytest.mark.slow,
    pytest.mark.timeout(240),
    NEEDS_CHROMIUM,
]


async def test_the_dashboard_of_a_new_organization_shows_a_first_call_that_works(customer):
    await customer.new_organization("Fresh Weather")
    key, _, _ = await customer.new_key("first steps")
    await customer.go("logs")
    await customer.press("Make your first call")
    shown = await customer.page.locator("main .copyable.block code").first.text_content()
    assert run_curl(shown.replace("YOUR_API_KEY", key))[0] == 200
    await customer.go("credits")
    await customer.says(re.compile("[1-9]"))


async def test_signing_out_closes_the_pages_and_signing_in_leads_back_to_where_one_was(customer):
    await customer.go("keys")
    await customer.sign_out()
    await customer.go("keys")
    assert "/sign-in?next=" in customer.page.url
    await customer.fill(email=customer.email, password="not the password")
    await customer.press("Sign in")
    assert await customer.page.get_by_role("alert").inner_text()
    assert await customer.page.locator("[name=email]").input_value() == customer.email
    await customer.fill(password=customer.password)
    await customer.press("Sign in")
    await customer.page.wait_for_url(f"{customer.root}/keys")
    customer.wrong[:] = []


async def test_an_invited_team_mate_signs_up_and_comes_back_to_the_invitation(customer, stranger):
    await customer.go("team")
    await customer.fill(email=stranger.email)
    await customer.page.locator("[name=role]").select_option("developer")
    await customer.press("Invite")
    await customer.says("The invitation is on its way")

    await stranger.page.goto(await stranger.mailed("invites you"))
    await stranger.says("as developer")
    await stranger.press("Sign up")
    await stranger.page.wait_for_url(re.compile(r"/sign-up\?next=/invitations/"))
    await stranger.fill(email=stranger.email, password=stranger.password)
    await stranger.press("Sign up")
    await stranger.says("A mail is on its way")
    await stranger.page.goto(await stranger.mailed("Confirm"))
    await stranger.fill(password=stranger.password)
    await stranger.press("Confirm and sign in")
    await stranger.press("Join Acme Weather")
    await stranger.says("Welcome. You are a member now.")

    row = stranger.page.get_by_role("region", name="Members").locator("tr", has_text=stranger.email)
    assert "developer" in await row.inner_text()
    stranger.slug = customer.slug
    await stranger.new_key("key of a mate")
    answer = await stranger.page.goto(f"{stranger.root}/settings")
    assert answer.status in {200, 403, 404}


async def test_a_changed_plan_applies_to_the_next_call(customer):
    await customer.new_organization("Growing Weather")
    _, curl, _ = await customer.new_key("key on two plans")
    assert "q=1000;" in run_curl(curl)[1]["ratelimit-policy"]
    await customer.change_plan("Roomy")
    await customer.page.get_by_role("heading", name="Roomy").first.wait_for()
    seconds_until(lambda: "q=5000;" in run_curl(curl)[1]["ratelimit-policy"], 2)
