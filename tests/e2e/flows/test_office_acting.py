"""What an operator does for customers and against misuse, and what their next call meets."""

import re
from datetime import UTC, datetime, timedelta

import pytest

from tests.e2e.flows.customer import PASSWORD, arrive, seconds_until
from tests.e2e.looks.site import NEEDS_CHROMIUM

pytestmark = [
    pytest.mark.e2e,
    pytest.mark.slow,
    pytest.mark.timeout(240),
    NEEDS_CHROMIUM,
]
ARRIVES_SECONDS = 1.0
"""Every change of an operator holds at the gateway within this time."""


@pytest.fixture
def noted(record_testsuite_property, scripted):
    """Write down how long something took, in the report and on the terminal."""

    def note(what: str, seconds: float) -> None:
        record_testsuite_property(f"seconds_until_{what}, scripted {scripted}", round(seconds, 3))
        print(f"{what}: {seconds * 1000:.0f} ms after the page said so")

    return note


async def test_granted_credits_let_the_next_call_through_and_stand_in_the_customers_statement(
    operator, up, browser, scripted, noted
):
    owner = await arrive(up, browser, scripted=scripted, name="owner")
    client = await operator.client("Granted Gardens", "free", owner=owner.email)
    assert up.call(client.key)[0] == 402
    await operator.go(f"/organizations/{client.slug}")
    await operator.press("Grant credits")
    said = await operator.preview(credits="12.5", said="Sorry for the outage of Tuesday")
    assert "Granted Gardens gets 12.5 credits, as a bonus. They never expire." in said
    assert "Balance now 0 credits, then 12.5." in said
    await operator.carry_out("outage of Tuesday, ticket 4711")
    noted("admitted_after_grant", seconds_until(lambda: up.call(client.key)[0] == 200, ARRIVES_SECONDS))

    await owner.page.goto(await owner.mailed("account"))
    await owner.fill(password=PASSWORD)
    await owner.page.locator("main button[type=submit]").first.click()
    if "/o/" not in owner.page.url:
        await owner.sign_in()
        await owner.page.wait_for_url("**/o/**")
    owner.slug = client.slug
    await owner.go("credits")
    await owner.says("Sorry for the outage of Tuesday")
    balance = owner.page.locator(".stat", has_text="Balance").locator(".stat-value")
    assert float(await balance.inner_text()) == pytest.approx(12.5, abs=0.01)
    await owner.context.close()
    assert owner.wrong == []


async def test_a_limit_raised_until_friday_admits_the_next_call(operator, up, noted):
    client = await operator.client("Friday Fans", "e2e-tiny", bonus="1")
    seconds_until(lambda: up.call(client.key)[0] == 429, 20)
    friday = datetime.now(UTC) + timedelta(days=(4 - datetime.now(UTC).weekday()) % 7 or 7)
    await operator.go(f"/organizations/{client.slug}")
    await operator.press("Override")
    assert await operator.page.locator("[name=limit]").input_value() == "minute"
    said = await operator.preview(amount="5000", until=f"{friday:%Y-%m-%d}T18:00")
    assert re.search(r"2 .*minute.*5,000 .*minute", said, re.DOTALL)
    await operator.carry_out("launch on Thursday, agreed with sales")
    noted("admitted_after_override", seconds_until(lambda: up.call(client.key)[0] == 200, ARRIVES_SECONDS))
    await operator.go(f"/organizations/{client.slug}")
    await operator.says(re.compile(r"minute: 5,000 until .*\. launch on Thursday"))


async def test_keys_in_a_leaked_text_are_revoked_and_the_next_call_is_refused_within_a_second(operator, up, noted):
    client = await operator.client("Leaky Labs", "free", bonus="1")
    assert up.call(client.key)[0] == 200
    await operator.go("/actions/revoke-leaked-keys")
    said = await operator.preview(text=f"# found in a public repository\nAPI_KEY={client.key}\nANOTHER=pe_live_no")
    assert client.slug in said
    assert client.key not in await operator.page.content()
    await operator.carry_out("reported by the scanner of the code host")
    noted("refused_after_leak", seconds_until(lambda: up.call(client.key)[0] == 401, ARRIVES_SECONDS))
    await operator.look_up(client.prefix)
    await operator.says("revoked")


async def test_a_suspended_organization_is_refused_within_a_second_and_served_again_when_restored(operator, up, noted):
    client = await operator.client("Late Payers", "free", bonus="1")
    assert up.call(client.key)[0] == 200
    await operator.go(f"/organizations/{client.slug}")
    await operator.press("Suspend")
    await operator.preview()
    await operator.carry_out("three invoices unpaid")
    noted("refused_after_suspension", seconds_until(lambda: up.call(client.key)[0] == 403, ARRIVES_SECONDS))
    await operator.go(f"/organizations/{client.slug}")
    await operator.press("Restore")
    await operator.preview()
    await operator.carry_out("paid this morning")
    noted("served_after_restoring", seconds_until(lambda: up.call(client.key)[0] == 200, ARRIVES_SECONDS))


async def test_a_form_that_is_sent_again_does_nothing_again(operator):
    client = await operator.client("Double Clicks", "free")
    await operator.act(
        f"grant-credits?organization={client.slug}", "once is enough", credits="3", said="A gift for patience"
    )
    await operator.page.reload()
    await operator.says("This form was sent before, and was carried out then")
    await operator.go(f"/organizations/{client.slug}")
    balance = operator.page.locator(".stat", has_text="Credits").locator(".stat-value")
    assert await balance.inner_text() == "3"


async def test_whoever_gives_no_reason_changes_nothing(operator):
    client = await operator.client("No Reason", "free")
    await operator.go(f"/actions/suspend-organization?organization={client.slug}")
    await operator.preview()
    await operator.fill(reason="  ")
    await operator.page.locator(".preview form button[type=submit]").click()
    await operator.says("Say why, in a few words")
    await operator.go(f"/organizations/{client.slug}")
    assert await operator.page.locator(".stat", has_text="State").locator(".badge").inner_text() == "active"
