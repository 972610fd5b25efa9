"""Creating an organization: what the preview says is what is there afterwards, with its owner and its mail."""

import secrets

from tests.audited import written
from tests.mailboxes import mails_to, new_email
from tests.portals import PLAN


def _name():
    return f"Founded {secrets.token_hex(5)}"


async def _row(office, slug):
    return await office.pool.fetchrow(
        "select o.id, o.name, m.role, u.email, u.active, a.balance_micro, s.state, p.slug as plan from organization o"
        " left join membership m on m.organization_id = o.id left join users u on u.id = m.user_id"
        " left join credit_account a on a.organization_id = o.id left join subscription s on s.organization_id = o.id"
        " left join plan p on p.id = s.plan_id where o.slug = $1",
        slug,
    )


async def test_an_organization_begins_on_its_plan_with_a_new_owner_and_credits(office, superuser):
    await office.organization()  # makes the plan
    name, email = _name(), new_email()
    slug = name.lower().replace(" ", "-")
    values = {"name": name, "plan": PLAN, "owner": email, "bonus": "12.5"}
    seen = await superuser.browser.preview("create-organization", **values)
    assert f"{email} gets an account" in seen.text
    assert "<td>Credits</td><td>0</td><td><strong>12.5</strong></td>" in seen.text
    assert "1,000 requests an hour" in seen.text
    assert await _row(office, slug) is None
    done = await superuser.browser.act("create-organization", "signed contract", **values)
    assert done.status_code == 200, done.text
    row = await _row(office, slug)
    assert (row["role"], row["email"], row["active"]) == ("owner", email, False)
    assert (row["balance_micro"], row["state"], row["plan"]) == (12_500_000, "active", PLAN)
    [entry] = await written(office, row["id"], "organization.create")
    assert (entry.after["owner"], entry.after["credits"], entry.reason) == (email, "12.5", "signed contract")
    assert [template for template, _ in await mails_to(office, email)] == ["account_made"]
    assert f"/organizations/{slug}" in done.text


async def test_an_owner_who_is_known_is_told_and_one_who_waits_gets_the_link_again(office, superuser):
    await office.organization()
    _, known = await office.user()
    waiting = new_email()
    await superuser.browser.act("create-user", email=waiting)
    for email in (known, waiting):
        done = await superuser.browser.act("create-organization", name=_name(), plan=PLAN, owner=email)
        assert done.status_code == 200, done.text
    assert [template for template, _ in await mails_to(office, known)] == ["organization_made"]
    assert [template for template, _ in await mails_to(office, waiting)] == ["account_made", "account_made"]


async def test_nothing_is_left_of_an_organization_that_cannot_be(office, superuser):
    taken = await office.organization()
    email = new_email()
    for values, status, sentence in (
        ({"name": "X", "plan": "no-such-plan"}, 404, "There is no plan no-such-plan."),
        ({"name": "X", "plan": PLAN, "slug": taken.slug}, 409, f"There is already an organization {taken.slug}."),
        ({"name": "X", "plan": PLAN, "bonus": "a lot"}, 422, "is no amount of credits"),
        ({"name": "X", "plan": PLAN, "slug": "Not A Slug"}, 422, "slug"),
    ):
        answer = await superuser.browser.act("create-organization", owner=email, **values)
        assert answer.status_code == status, answer.text
        assert sentence in answer.text
    assert await mails_to(office, email) == []


async def test_a_slug_that_is_taken_between_looking_and_doing_is_told(office, superuser):
    await office.organization()
    slug = f"race-{secrets.token_hex(5)}"
    email = new_email()
    form = await superuser.browser.look("create-organization", name="Race", plan=PLAN, slug=slug, owner=email)
    await superuser.browser.act("create-organization", name="First", plan=PLAN, slug=slug)
    late = await superuser.browser.post("/actions/create-organization", {**form, "reason": "too late"})
    assert late.status_code == 409
    assert await mails_to(office, email) == []
