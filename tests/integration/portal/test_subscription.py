"""The subscription's page and calls: what changes when, nothing with a price for nothing, one trial."""

import asyncio
import json
import secrets

import pytest

from domain import organizations, plans, subscriptions
from domain.limit_texts import parse_limits


async def plan(portal, *, rank: int = 0, cents: int = 0, limits=("1000/hour", "10000/day"), **more) -> str:
    """A new plan's slug."""
    slug = f"p-{secrets.token_hex(5)}"
    async with portal.pool.acquire() as connection:
        await plans.create(
            connection, slug=slug, limits=parse_limits(list(limits)), sort_order=rank, price_cents=cents, **more
        )
    return slug


async def customer(portal, plan_slug: str):
    """Somebody who owns an organization on a plan."""
    async with portal.pool.acquire() as connection:
        made = await organizations.create(connection, name=f"Org {secrets.token_hex(5)}", plan_slug=plan_slug)
    return await portal.person("owner", made)


async def stored(portal, person):
    return await portal.pool.fetchrow(
        "select s.*, p.slug as plan, n.slug as next_plan from subscription s join plan p on p.id = s.plan_id"
        " left join plan n on n.id = s.next_plan_id where s.organization_id = $1 order by s.created_at desc limit 1",
        person.organization.id,
    )


async def verbs(portal, person) -> list[str]:
    rows = await portal.pool.fetch(
        "select verb from audit_entry where organization_id = $1 order by created_at", person.organization.id
    )
    return [row["verb"] for row in rows]


async def test_the_page_says_plan_state_limits_and_use(portal):
    person = await customer(portal, await plan(portal, rank=1, name="Starter <b>"))
    page = await person.browser.get(f"{person.root}/subscription")
    assert page.status_code == 200
    assert "Starter &lt;b&gt;" in page.text
    assert "Active. The next period begins" in page.text
    assert "10,000" in page.text
    answer = (await person.browser.get("/api/subscription")).json()
    assert (answer["state"], answer["price_cents"]) == ("active", 0)
    by_name = {limit["name"]: limit for limit in answer["limits"]}
    assert (by_name["day"]["amount"], by_name["day"]["used"]) == (10000, 0)


async def test_use_is_what_was_served(portal):
    person = await customer(portal, await plan(portal))
    await portal.pool.execute(
        "insert into usage_rollup (organization_id, key_id, service_id, operation_id, bucket, grain, status_class,"
        " requests, refused) select $1, z, z, z, date_trunc(g, now()), g, 2, 7, 0"
        " from (select '00000000-0000-0000-0000-000000000000'::uuid as z) as one, unnest(array['minute','hour','day']) as u (g)",
        person.organization.id,
    )
    limits = (await person.browser.get("/api/subscription")).json()["limits"]
    assert {limit["name"]: limit["used"] for limit in limits} == {"hour": 7, "day": 7}


@pytest.mark.parametrize(("role", "status"), [("admin", 200), ("billing", 200), ("developer", 403), ("viewer", 403)])
async def test_only_who_may_buy_changes_anything(portal, role, status):
    low, high = await plan(portal, rank=1), await plan(portal, rank=2)
    person = await customer(portal, low)
    member = await portal.person(role, person.organization)
    seen = await member.browser.get(f"{person.root}/subscription")
    assert seen.status_code == (403 if role == "viewer" else 200)
    for path, body in (("/change", {"plan": high}), ("/cancel", None), ("/resume", None)):
        assert (await member.browser.api("POST", f"/subscription{path}", json=body)).status_code == status
    caps = await member.browser.api("PUT", "/subscription/spend-caps", json={"day": "1", "month": None})
    assert caps.status_code == status


async def test_a_higher_plan_holds_at_once_and_a_lower_one_from_the_next_period(portal):
    low, high = await plan(portal, rank=1), await plan(portal, rank=2)
    person = await customer(portal, low)
    up = await person.browser.post(f"{person.root}/subscription/change", {"plan": high})
    assert up.headers["location"].endswith("?done=plan_changed")
    assert (await stored(portal, person))["plan"] == high
    down = await person.browser.post(f"{person.root}/subscription/change", {"plan": low})
    assert down.headers["location"].endswith("?done=plan_will_change")
    row = await stored(portal, person)
    assert (row["plan"], row["next_plan"]) == (high, low)
    page = await person.browser.get(f"{person.root}/subscription")
    assert f"on the plan is {low}" in page.text
    kept = await person.browser.post(f"{person.root}/subscription/keep")
    assert kept.headers["location"].endswith("?done=plan_kept")
    assert (await stored(portal, person))["next_plan"] is None
    assert (await person.browser.post(f"{person.root}/subscription/keep")).status_code == 409
    assert await verbs(portal, person) == ["subscription.change"] * 3
    entry = await portal.pool.fetchval(
        "select after from audit_entry where organization_id = $1 order by created_at limit 1", person.organization.id
    )
    assert json.loads(entry)["plan"] == high


async def test_a_plan_with_a_price_is_never_had_for_nothing(portal):
    free, paid = await plan(portal, rank=1), await plan(portal, rank=2, cents=1900)
    person = await customer(portal, free)
    page = await person.browser.get(f"{person.root}/subscription")
    assert f"Contact us to change to {paid}" in page.text
    call = await person.browser.api("POST", "/subscription/change", json={"plan": paid})
    assert (call.status_code, call.json()["code"]) == (409, "conflict")
    assert "Contact us" in call.json()["detail"]
    assert (await stored(portal, person))["plan"] == free


async def test_an_unpaid_period_is_not_paid_by_resuming(portal):
    paid = await plan(portal, rank=2, cents=1900)
    person = await customer(portal, paid)
    async with portal.pool.acquire() as connection:
        await subscriptions.mark_unpaid(connection, person.organization.id)
    assert (await person.browser.api("POST", "/subscription/resume")).status_code == 409
    assert (await person.browser.api("POST", "/subscription/cancel")).status_code == 200
    await person.browser.api("POST", "/subscription/resume")
    assert (await stored(portal, person))["state"] in {"past_due", "cancelled"}


async def test_an_ended_plan_with_a_price_is_not_begun_anew_and_a_free_one_is(portal):
    paid, free = await plan(portal, rank=2, cents=1900), await plan(portal, rank=1)
    person = await customer(portal, paid)
    async with portal.pool.acquire() as connection:
        await subscriptions.cancel(connection, person.organization.id, at_once=True)
    page = await person.browser.get(f"{person.root}/subscription")
    assert "has ended" in page.text
    assert (await person.browser.api("POST", "/subscription/resume")).status_code == 409
    assert (await person.browser.api("POST", "/subscription/change", json={"plan": paid})).status_code == 409
    answer = await person.browser.api("POST", "/subscription/change", json={"plan": free})
    assert (answer.status_code, answer.json()["plan"], answer.json()["state"]) == (200, free, "active")


@pytest.mark.parametrize("kind", ["missing", "hidden", "inactive", "present"])
async def test_plans_that_cannot_be_chosen(portal, kind):
    present = await plan(portal, rank=1)
    person = await customer(portal, present)
    slug = {"missing": "no-such-plan", "present": present}.get(kind) or await plan(portal, public=kind != "hidden")
    if kind == "inactive":
        await portal.pool.execute("update plan set active = false where slug = $1", slug)
    for path in ("change", "trial"):
        call = await person.browser.api("POST", f"/subscription/{path}", json={"plan": slug})
        assert call.status_code == (404 if kind in {"missing", "hidden"} else 409)
    assert (await stored(portal, person))["plan"] == present


async def test_cancelling_ends_it_with_the_period_and_can_be_taken_back(portal):
    person = await customer(portal, await plan(portal))
    done = await person.browser.post(f"{person.root}/subscription/cancel")
    assert done.headers["location"].endswith("?done=subscription_cancelled")
    row = await stored(portal, person)
    assert row["cancel_at"] == row["period_end"]
    page = await person.browser.get(f"{person.root}/subscription")
    assert "cancelled at period end" in page.text
    again = await person.browser.post(f"{person.root}/subscription/cancel")
    assert again.status_code == 409
    assert "cancelled already" in again.text
    back = await person.browser.post(f"{person.root}/subscription/resume")
    assert back.headers["location"].endswith("?done=subscription_resumed")
    assert (await stored(portal, person))["cancel_at"] is None
    assert await verbs(portal, person) == ["subscription.cancel", "subscription.resume"]


async def test_a11_one_trial_for_an_organization_and_for_an_address(portal):
    free, pro = await plan(portal, rank=1), await plan(portal, rank=2, cents=1900, trial_days=14)
    person = await customer(portal, free)
    page = await person.browser.get(f"{person.root}/subscription")
    assert "Try it for 14 days" in page.text
    begun = await person.browser.post(f"{person.root}/subscription/trial", {"plan": pro})
    assert begun.headers["location"].endswith("?done=trial_begun")
    row = await stored(portal, person)
    assert (row["state"], row["plan"], row["next_plan"]) == ("trialing", pro, free)
    page = await person.browser.get(f"{person.root}/subscription")
    assert "In trial until" in page.text
    assert "Try it for" not in page.text
    again = await person.browser.post(f"{person.root}/subscription/trial", {"plan": pro})
    assert again.status_code == 409
    assert "has had its trial" in again.text
    kept = await person.browser.api("POST", "/subscription/keep")
    assert kept.status_code == 409
    other = await customer(portal, free)
    await portal.join(person.user_id, other.organization.id, "owner")
    elsewhere = await person.browser.api(
        "POST", "/subscription/trial", json={"plan": pro}, headers={"pe-organization": other.organization.slug}
    )
    assert elsewhere.status_code == 409


async def test_a11_many_trials_at_once_are_one(portal):
    free, pro = await plan(portal, rank=1), await plan(portal, rank=2, cents=1900, trial_days=14)
    person = await customer(portal, free)
    calls = await asyncio.gather(
        *(person.browser.api("POST", "/subscription/trial", json={"plan": pro}) for _ in range(5))
    )
    assert sorted(call.status_code for call in calls) == [200, 409, 409, 409, 409]


async def test_a11_an_address_that_is_not_verified_begins_no_trial(portal):
    person = await customer(portal, await plan(portal, rank=1))
    await portal.pool.execute("update users set email_verified_at = null where id = $1", person.user_id)
    pro = await plan(portal, rank=2, cents=1900, trial_days=14)
    call = await person.browser.api("POST", "/subscription/trial", json={"plan": pro})
    assert (call.status_code, call.json()["code"]) == (403, "forbidden")


async def test_a_trial_is_not_turned_into_the_plan_itself(portal):
    free, pro = await plan(portal, rank=1), await plan(portal, rank=2, cents=1900, trial_days=14)
    person = await customer(portal, free)
    await person.browser.api("POST", "/subscription/trial", json={"plan": pro})
    for path, body in (("change", {"plan": pro}), ("keep", None), ("resume", None)):
        assert (await person.browser.api("POST", f"/subscription/{path}", json=body)).status_code == 409
    assert (await person.browser.api("POST", "/subscription/cancel")).status_code == 200
    assert (await person.browser.api("POST", "/subscription/resume")).status_code == 200
    row = await stored(portal, person)
    assert (row["state"], row["next_plan"]) == ("trialing", free)


async def test_spend_caps_are_exact_and_taken_off_by_an_empty_field(portal):
    person = await customer(portal, await plan(portal))
    done = await person.browser.post(f"{person.root}/subscription/spend-caps", {"day": "1,234.000001", "month": ""})
    assert done.headers["location"].endswith("?done=spend_caps_saved")
    assert (await person.browser.get("/api/subscription")).json()["spend_caps"] == {
        "day": "1234.000001",
        "month": None,
    }
    page = await person.browser.get(f"{person.root}/subscription")
    assert "1,234.000001 credits" in page.text
    call = await person.browser.api("PUT", "/subscription/spend-caps", json={"day": None, "month": "5"})
    assert call.json() == {"day": None, "month": "5"}
    assert await verbs(portal, person) == ["spend_cap.change"] * 2


@pytest.mark.parametrize("text", ["-1", "much", "1e3", "0.0000001", "none", "99999999999"])
async def test_a_cap_that_is_no_amount_is_told_beside_what_was_written(portal, text):
    person = await customer(portal, await plan(portal))
    page = await person.browser.post(f"{person.root}/subscription/spend-caps", {"day": text, "month": "7"})
    assert page.status_code == 422
    assert f'value="{text}"' in page.text
    call = await person.browser.api("PUT", "/subscription/spend-caps", json={"day": text, "month": None})
    assert call.status_code == 422
    assert await verbs(portal, person) == []


async def test_anybody_reads_the_plans_on_offer_and_no_others(portal):
    shown, hidden = await plan(portal, limits=["5/minute per key", "2 concurrent"]), await plan(portal, public=False)
    answer = await portal.browser().get("/api/plans")
    assert answer.status_code == 200
    by_slug = {one["slug"]: one for one in answer.json()["data"]}
    assert hidden not in by_slug
    assert [(one["amount"], one["period"], one["scope"]) for one in by_slug[shown]["limits"]] == [
        (5, "minute", "key"),
        (2, "concurrent", "organization"),
    ]


async def test_what_a_change_brings_is_said(portal):
    low = await plan(portal, rank=1, limits=["1000/hour", "5 concurrent"])
    high = await plan(portal, rank=2, limits=["5000/hour", "50000/day"])
    person = await customer(portal, low)
    text = (await person.browser.get(f"{person.root}/subscription")).text
    card = text.partition(f'aria-labelledby="plan-{high}"')[2].partition("</article>")[0]
    assert "more than 1,000 now" in card
    assert "no longer limited" in card
    assert "Takes effect at once." in card


async def test_an_organization_without_a_subscription_can_choose_one(portal, owner):
    await portal.pool.execute("delete from subscription where organization_id = $1", owner.organization.id)
    page = await owner.browser.get(f"{owner.root}/subscription")
    assert "There is no subscription" in page.text
    assert (await owner.browser.get("/api/subscription")).json()["state"] == "none"
    assert (await owner.browser.api("POST", "/subscription/cancel")).status_code == 409
    slug = await plan(portal)
    assert (await owner.browser.api("POST", "/subscription/change", json={"plan": slug})).json()["plan"] == slug
