"""Pages that look: what they show, and that every one of them stands with nothing, with much, and for every role."""

from html import unescape

import pytest

from admin.pages import what_if
from admin.pages.reports import GROUPS
from domain import keys
from domain.credits.granting import grant
from domain.operators import OPERATOR_ROLES, Right
from domain.reports.registry import REPORTS
from domain.what_if import scopes


@pytest.fixture
async def customer(office):
    """An organization with an owner and a key."""
    organization = await office.organization("Ärger & Söhne <b>bold</b>")
    user_id, email = await office.user()
    await office.join(user_id, organization.id, "owner")
    async with office.pool.acquire() as connection:
        made = await keys.create(
            connection, office.settings.keys, organization_id=organization.id, name="First key", environment="live"
        )
    return organization, user_id, email, made


async def test_a_customer_is_found_by_address_key_id_and_name(office, superuser, customer):
    organization, user_id, email, made = customer
    browser = superuser.browser
    expected = {
        email: f"/users/{user_id}",
        email[:14]: f"/users/{user_id}",
        made.record.prefix: f"/keys/{made.record.id}",
        str(made.record.id): f"/keys/{made.record.id}",
        str(organization.id): f"/organizations/{organization.slug}",
        organization.slug: f"/organizations/{organization.slug}",
    }
    for text, path in expected.items():
        answer = await browser.get("/find", params={"q": text})
        found = answer.headers.get("location") == path or f'href="{path}"' in answer.text
        assert found, (text, answer.status_code)
    by_name = await browser.get("/find", params={"q": "ärger", "list": "1"})
    assert f"/organizations/{organization.slug}" in by_name.text
    assert "<b>bold</b>" not in by_name.text


async def test_a_whole_key_leaves_the_address_before_it_is_looked_for(superuser, customer):
    *_, made = customer
    answer = await superuser.browser.get("/find", params={"q": made.plaintext})
    assert answer.headers["location"] == f"/find?q={made.record.prefix}"


@pytest.mark.parametrize(
    "text", ["", "x", "\x00", "%", "__", "a" * 5000, "'; drop table users;--", "ffffffff-ffff-7fff-bfff-ffffffffffff"]
)
async def test_whatever_is_looked_for_gets_an_answer(superuser, text):
    answer = await superuser.browser.get("/find", params={"q": text, "list": "1"})
    assert answer.status_code in (200, 303)


@pytest.mark.parametrize("role", OPERATOR_ROLES)
async def test_every_role_sees_customers(office, customer, role):
    organization, user_id, _, made = customer
    async with office.pool.acquire() as connection:
        await grant(connection, organization.id, amount_micro=12_345_678_000, reason="a test")
    browser = (await office.operator(role)).browser
    paths = (
        "/", "/organizations", f"/organizations/{organization.slug}", f"/organizations/{organization.slug}/keys",
        f"/keys/{made.record.id}", f"/users/{user_id}", "/plans", f"/plans/{organization.plan_slug}", "/requests",
        f"/requests?organization={organization.slug}", "/account", "/actions",
    )  # fmt: skip
    for path in paths:
        answer = await browser.get(path)
        assert answer.status_code == 200, path
        assert "<b>bold</b>" not in answer.text
    shown = (await browser.get(f"/organizations/{organization.slug}")).text
    assert ("12,345.678" in shown) is (Right.LOOK_MONEY in OPERATOR_ROLES[role])


async def test_what_is_not_there_is_said(superuser):
    for path in ("/organizations/nobody", "/users/999999999", "/plans/none", "/nothing", "/actions/none"):
        answer = await superuser.browser.get(path)
        assert answer.status_code == 404, path
        assert "There is no" in answer.text


async def test_a_bad_filter_is_told_and_a_bad_cursor_too(superuser, customer):
    organization, *_ = customer
    answer = await superuser.browser.get(f"/requests?organization={organization.slug}&status=9999")
    assert answer.status_code == 422
    assert (await superuser.browser.get("/organizations?cursor=nonsense")).status_code == 404
    assert (await superuser.browser.get("/organizations?state=nonsense")).status_code == 200


async def test_the_audit_is_shown_by_object_actor_organization_and_request(office, superuser):
    organization = await office.organization()
    done = await superuser.browser.act("suspend-organization", "unpaid since May", organization=organization.slug)
    queries = (
        f"organization={organization.slug}", f"actor={superuser.email}", f"actor={superuser.user_id}",
        f"object=organization:{organization.id}", f"request={done.headers['x-request-id']}",
        f"organization={organization.slug}&verb=organization",
    )  # fmt: skip
    for query in queries:
        answer = await superuser.browser.get(f"/audit?{query}")
        assert answer.status_code == 200, query
        assert "unpaid since May" in answer.text, query
    for query in (f"organization={organization.slug}&verb=key", "actor=nobody@example.com"):
        assert "unpaid since May" not in (await superuser.browser.get(f"/audit?{query}")).text
    for query in ("organization=nobody-at-all", "object=nonsense", "from=nonsense", "object=a:%00"):
        assert (await superuser.browser.get(f"/audit?{query}")).status_code == 422 or "nobody" in query


@pytest.mark.parametrize("role", OPERATOR_ROLES)
async def test_the_audit_is_for_those_with_the_right(office, role):
    operator = await office.operator(role)
    expected = 200 if Right.LOOK_AUDIT in OPERATOR_ROLES[role] else 403
    assert (await operator.browser.get("/audit")).status_code == expected


@pytest.mark.parametrize("slug", REPORTS)
async def test_every_report_is_shown_listed_and_given_as_a_file(superuser, slug):
    page = await superuser.browser.get(f"/reports/{slug}")
    assert page.status_code == 200
    assert REPORTS[slug].question in unescape(page.text)
    assert f'href="/reports/{slug}"' in (await superuser.browser.get("/reports")).text
    file = await superuser.browser.get(f"/reports/{slug}.csv")
    assert file.headers["content-type"].startswith("text/csv")
    assert file.headers["content-disposition"].startswith("attachment")


async def test_a_report_that_cannot_be_is_told(superuser):
    for query in ("window=1y", "organization=nobody", "which=nothing", "from=nonsense", "window=%00"):
        answer = await superuser.browser.get(f"/reports/top-organizations?{query}")
        assert answer.status_code == 422, query
    assert (await superuser.browser.get("/reports/nothing")).status_code == 404


def test_every_report_stands_under_a_heading():
    assert sorted(slug for _, slugs in GROUPS for slug in slugs) == sorted(REPORTS)


async def test_a_draft_begins_with_the_plans_own_terms_and_is_replayed(office, superuser, customer):
    organization, *_ = customer
    begun = await superuser.browser.get("/what-if", params={"plan": organization.plan_slug})
    assert "1000/hour" in begun.text
    query = {"plan": organization.plan_slug, "limits": "5/hour\n3/second per key", "days": "1", "month": "49.90"}
    answer = await superuser.browser.get("/what-if", params=query)
    assert answer.status_code == 200
    assert "Refused under the draft" in answer.text
    file = await superuser.browser.get("/what-if.csv", params=query)
    assert file.text.startswith("organization,name")


@pytest.mark.parametrize("bound", [("STATEMENT_MS", 100), ("RUN_SECONDS", 0.5)])
async def test_a_replay_of_too_many_requests_is_given_up_with_a_sentence(superuser, customer, monkeypatch, bound):
    organization, *_ = customer
    slow = scopes._IDS.replace("from organization o", "from (select pg_sleep(5)) slow cross join organization o")
    monkeypatch.setattr(scopes, "_IDS", slow)
    monkeypatch.setattr(what_if, *bound)
    query = {"plan": organization.plan_slug, "limits": "5/hour", "days": "1", "who": "plan"}
    answer = await superuser.browser.get("/what-if", params=query)
    assert answer.status_code == 422
    assert "more requests than a page counts" in answer.text
    monkeypatch.undo()
    again = await superuser.browser.get("/what-if", params=query)
    assert again.status_code == 200


@pytest.mark.parametrize(("number", "status"), [(2_000_001, 422), (2_000_000, 200)])
async def test_a_replay_of_more_than_a_page_goes_through_is_not_begun(office, superuser, customer, number, status):
    organization, *_ = customer
    await office.pool.execute(
        "insert into organization_usage (grain, bucket, organization_id, requests, errors, refused, cost_micro)"
        " values ('day', date_trunc('day', now(), 'UTC') - interval '1 day', $1, $2, 0, 0, 0)"
        " on conflict (organization_id, grain, bucket) do update set requests = $2",
        organization.id,
        number,
    )
    query = {"plan": organization.plan_slug, "limits": "5/hour", "days": "1", "organization": organization.slug}
    answer = await superuser.browser.get("/what-if", params=query)
    assert answer.status_code == status
    assert ("about 2,000,001 requests, more than the 2,000,000" in answer.text) == (status == 422)


@pytest.mark.parametrize(
    "wrong",
    [{"limits": "many/hour"}, {"prices": "nonsense"}, {"month": "much"}, {"days": "9999"}, {"organization": "nobody"}],
)
async def test_what_is_wrong_with_a_draft_is_told(superuser, customer, wrong):
    organization, *_ = customer
    answer = await superuser.browser.get("/what-if", params={"plan": organization.plan_slug, **wrong})
    assert answer.status_code in (404, 422)
    assert 'role="alert"' in answer.text
