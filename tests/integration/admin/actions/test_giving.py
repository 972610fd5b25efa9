"""The cap on what one operator gives in 24 hours: over all ways to give together, under haste too, and for nobody else."""

import asyncio

import pytest

from tests.integration.admin.actions.conftest import Customer

BALANCE = "select balance_micro from credit_account where organization_id = $1"


@pytest.fixture
def capped(office):
    """At most 100 credits."""
    admin = office.settings.admin
    office.settings.admin = admin.model_copy(update={"given_credits_per_day": 100})
    yield
    office.settings.admin = admin


def grant(customer: Customer, amount: str) -> dict[str, str]:
    return {"organization": customer.organization.slug, "credits": amount, "said": "Hello"}


async def test_every_way_to_give_counts_and_what_is_taken_does_not_come_back(office, superuser, customer, capped):
    browser, mine = superuser.browser, customer.organization
    founding = {"name": "Capped", "plan": customer.plan}
    payment = {"organization": mine.slug, "credits": "20", "paid": "9.00 EUR", "reference": f"CAP {mine.id}"}
    assert (await browser.act("grant-credits", **grant(customer, "30.5"))).status_code == 200
    assert (await browser.act("adjust-credits", **grant(customer, "+20"))).status_code == 200
    assert (await browser.act("adjust-credits", **grant(customer, "-20"))).status_code == 200
    assert (await browser.act("book-payment", **payment)).status_code == 200
    assert (await browser.act("create-organization", **founding, bonus="20")).status_code == 200
    seen = await browser.preview("grant-credits", **grant(customer, "9.5"))
    assert "You have given 90.5 of at most 100 credits in the last 24 hours." in seen.text
    for slug, values in (
        ("grant-credits", grant(customer, "9.6")),
        ("adjust-credits", grant(customer, "9.6")),
        ("book-payment", {**payment, "credits": "9.6", "reference": f"CAP 2 {mine.id}"}),
        ("create-organization", {**founding, "bonus": "9.6"}),
    ):
        refused = await browser.act(slug, **values)
        assert refused.status_code == 409, slug
        assert "You have given 90.5, so 9.5 are left." in refused.text
    assert (await browser.act("grant-credits", **grant(customer, "9.5"))).status_code == 200
    assert await office.pool.fetchval(BALANCE, mine.id) == 60_000_000
    other = await office.operator("finance")
    assert (await other.browser.act("grant-credits", **grant(customer, "100"))).status_code == 200


async def test_of_five_at_once_only_what_the_cap_allows_is_given(office, superuser, customer, capped):
    forms = [await superuser.browser.look("grant-credits", **grant(customer, "40")) for _ in range(5)]
    answers = await asyncio.gather(
        *(superuser.browser.post("/actions/grant-credits", {**form, "reason": "haste"}) for form in forms)
    )
    assert sorted(answer.status_code for answer in answers) == [200, 200, 409, 409, 409]
    assert await office.pool.fetchval(BALANCE, customer.organization.id) == 80_000_000
