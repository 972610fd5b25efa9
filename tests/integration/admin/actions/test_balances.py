"""Actions on credits: what the preview says moves, and nothing twice."""

import asyncio
import secrets
from datetime import UTC, datetime, timedelta

import pytest

from domain.async_jobs.ending import ENTRY_KEY
from domain.credits.refunding import refund
from domain.partitions import ensure_partitions, today
from tests.audited import written
from tests.integration.domain.credits.accounts import hold, posted, serve, usage
from tests.job_rows import asynchronous_operation, write_job


async def _balance(office, organization):
    return await office.pool.fetchval(
        "select balance_micro from credit_account where organization_id = $1", organization.id
    )


async def _granted(office, superuser, amount="100"):
    organization = await office.organization()
    values = {"organization": organization.slug, "credits": amount, "said": "Welcome"}
    assert (await superuser.browser.act("grant-credits", kind="bonus", **values)).status_code == 200
    return organization


async def test_a_grant_is_of_its_kind_until_its_end(office, superuser):
    organization = await office.organization()
    end = (datetime.now(UTC) + timedelta(days=30)).replace(second=0, microsecond=0)
    values = {
        "organization": organization.slug,
        "credits": "12.5",
        "kind": "purchase",
        "expires_at": f"{end:%Y-%m-%dT%H:%M}",
        "said": "Invoice 7",
    }
    seen = await superuser.browser.preview("grant-credits", **values)
    assert f"gets 12.5 credits, as a purchase. What is left of them on {end:%d %b %Y, %H:%M} UTC is lost." in seen.text
    assert "Balance now 0 credits, then 12.5." in seen.text
    done = await superuser.browser.act("grant-credits", "invoice paid", **values)
    assert done.status_code == 200, done.text
    row = await office.pool.fetchrow(
        "select e.type, e.reason, e.actor, g.expires_at, g.amount_micro from credit_entry e join credit_grant g"
        " on g.entry_id = e.id where e.organization_id = $1",
        organization.id,
    )
    assert tuple(row) == ("purchase", "Invoice 7", superuser.email, end, 12_500_000)
    [entry] = await written(office, organization.id, "credits.grant")
    assert (entry.before["balance"], entry.after["balance"], entry.reason) == ("0", "12.5", "invoice paid")


@pytest.mark.parametrize(
    ("changes", "status", "sentence"),
    [
        ({"credits": "0"}, 422, "Write more than 0 credits"),
        ({"credits": "1e3"}, 422, "is no amount of credits"),
        ({"expires_at": "2020-01-01T00:00"}, 422, "is past"),
        ({"expires_at": "Friday"}, 422, "such as 2026-11-27T18:00"),
        ({"kind": "usage"}, 422, "Some values are not valid"),
        ({"organization": "no-such"}, 404, "There is no organization no-such."),
        ({"said": ""}, 422, "Some values are not valid"),
    ],
)
async def test_a_grant_that_cannot_be_is_told(office, superuser, changes, status, sentence):
    organization = await office.organization()
    values = {"organization": organization.slug, "credits": "1", "kind": "bonus", "said": "Hello", **changes}
    answer = await superuser.browser.act("grant-credits", **values)
    assert (answer.status_code, sentence in answer.text) == (status, True), answer.text
    assert await _balance(office, organization) is None


async def test_a_balance_that_moves_between_looking_and_doing_stops_no_grant(office, superuser):
    organization = await _granted(office, superuser)
    form = await superuser.browser.look(
        "grant-credits", organization=organization.slug, credits="1", kind="bonus", said="Hello"
    )
    await superuser.browser.act("adjust-credits", organization=organization.slug, credits="-3", said="Oops")
    assert (await superuser.browser.post("/actions/grant-credits", {**form, "reason": "a test"})).status_code == 200
    assert await _balance(office, organization) == 98_000_000


async def test_a_correction_takes_only_what_is_available(office, superuser):
    organization = await _granted(office, superuser)
    async with office.pool.acquire() as connection:
        await hold(connection, organization.id, leased=60_000_000)
    values = {"organization": organization.slug, "said": "Counted twice"}
    refused = await superuser.browser.act("adjust-credits", credits="-41", **values)
    assert refused.status_code == 409
    assert "41 credits cannot be taken: 40 of 100 are available" in refused.text
    form = await superuser.browser.look("adjust-credits", credits="-40", **values)
    async with office.pool.acquire() as connection:
        await hold(connection, organization.id, leased=1)
    late = await superuser.browser.post("/actions/adjust-credits", {**form, "reason": "a test"})
    assert (late.status_code, "cannot be taken" in late.text) == (409, True)
    assert (await superuser.browser.act("adjust-credits", credits="-39", **values)).status_code == 200
    assert (await superuser.browser.act("adjust-credits", credits="+2.5", **values)).status_code == 200
    assert await _balance(office, organization) == 63_500_000
    entries = await written(office, organization.id, "credits.adjust")
    assert [(entry.before["balance"], entry.after["balance"]) for entry in entries] == [("100", "61"), ("61", "63.5")]


async def _charged(office, organization, *costs):
    async with office.pool.acquire() as connection:
        await ensure_partitions(connection, today(), today())
        await serve(connection, {organization.id: list(costs)}, held="")
        return [
            row["id"]
            for row in await connection.fetch(
                "select id from request_log where organization_id = $1 order by cost_micro", organization.id
            )
        ]


async def test_a_request_s_charge_comes_back_once(office, superuser):
    organization = await _granted(office, superuser)
    _, request_id = await _charged(office, organization, 1_000_000, 2_500_000)
    seen = await superuser.browser.preview("refund-request", request_id=str(request_id), said="Sorry")
    assert "gets the 2.5 credits back that GET /x cost on" in seen.text
    done = await superuser.browser.act("refund-request", "broken answer", request_id=str(request_id), said="Sorry")
    assert done.status_code == 200, done.text
    assert await _balance(office, organization) == 99_000_000
    [entry] = await written(office, request_id)
    assert (entry.verb, entry.after["credits"], entry.reason) == ("credits.refund", "2.5", "broken answer")
    again = await superuser.browser.act("refund-request", request_id=str(request_id), said="Sorry")
    assert again.status_code == 409
    assert "was given back on" in again.text
    assert await _balance(office, organization) == 99_000_000


async def test_of_two_refunds_of_one_request_at_once_one_is_made(office, superuser):
    organization = await _granted(office, superuser)
    [request_id] = await _charged(office, organization, 2_500_000)
    forms = [await superuser.browser.look("refund-request", request_id=str(request_id), said="Sorry") for _ in range(2)]
    answers = await asyncio.gather(
        *(superuser.browser.post("/actions/refund-request", {**form, "reason": "both"}) for form in forms)
    )
    assert sorted(answer.status_code for answer in answers) == [200, 409]
    assert await _balance(office, organization) == 100_000_000


async def test_a_request_without_a_charge_has_nothing_to_give_back(office, superuser):
    organization = await _granted(office, superuser)
    [free] = await _charged(office, organization, 0)
    answer = await superuser.browser.act("refund-request", request_id=str(free), said="Sorry")
    assert answer.status_code == 404
    assert "it cost nothing" in answer.text
    assert (await superuser.browser.act("refund-request", request_id="abc", said="Sorry")).status_code == 422


async def _completed_job(office, organization):
    """A job that cost 2 credits; its id and that of the request that was answered 202."""
    async with office.pool.acquire() as connection:
        operation = await asynchronous_operation(connection)
        job_id = await write_job(connection, organization.id, operation, status="completed")
        key = f"{ENTRY_KEY}{job_id}"
        charge = usage(organization.id, 2_000_000, reference=str(job_id), idempotency_key=key, fingerprint=bytes(32))
        await posted(connection, charge)
        return job_id, await connection.fetchval("select request_id from async_job where id = $1", job_id)


@pytest.mark.parametrize("first", [0, 1], ids=["by the job's id", "by the id of the request"])
async def test_a_job_s_charge_comes_back_once_by_either_of_its_ids(office, superuser, first):
    organization = await _granted(office, superuser)
    ids = await _completed_job(office, organization)
    seen = await superuser.browser.preview("refund-request", request_id=str(ids[first]), said="Sorry")
    assert "gets the 2 credits back that the job POST /reports cost on" in seen.text
    done = await superuser.browser.act("refund-request", "bad result", request_id=str(ids[first]), said="Sorry")
    assert done.status_code == 200, done.text
    assert await _balance(office, organization) == 100_000_000
    [entry] = await written(office, ids[0])
    assert (entry.verb, entry.after["credits"], entry.reason) == ("credits.refund", "2", "bad result")
    for either in ids:
        again = await superuser.browser.act("refund-request", request_id=str(either), said="Sorry")
        assert (again.status_code, "was given back on" in again.text) == (409, True)
    assert await _balance(office, organization) == 100_000_000


async def test_of_a_job_s_charge_no_more_comes_back_than_is_left_and_of_no_charge_nothing(office, superuser):
    organization = await _granted(office, superuser)
    job_id, request_id = await _completed_job(office, organization)
    async with office.pool.acquire() as connection:
        entry_id = await connection.fetchval("select id from credit_entry where reference = $1", str(job_id))
        await refund(connection, entry_id, amount_micro=500_000, reason="a part")
        free = await write_job(connection, organization.id, await asynchronous_operation(connection), status="failed")
    refused = await superuser.browser.act("refund-request", request_id=str(request_id), said="Sorry")
    assert (refused.status_code, "1.5 can be given back now" in refused.text) == (409, True), refused.text
    assert await _balance(office, organization) == 98_500_000
    nothing = await superuser.browser.act("refund-request", request_id=str(free), said="Sorry")
    assert (nothing.status_code, "it is failed and was charged nothing" in nothing.text) == (404, True)


def _payment(organization, reference, **changes):
    return {
        "organization": organization.slug,
        "credits": "500",
        "paid": "49.00 EUR",
        "reference": reference,
        **changes,
    }


async def test_a_payment_is_booked_once_over_all_organizations(office, superuser):
    first, second = await office.organization(), await office.organization()
    reference = f"RF {secrets.token_hex(6)}"
    seen = await superuser.browser.preview("book-payment", **_payment(first, reference))
    assert f"The payment of 49.00 EUR with the reference {reference.upper()} is booked for {first.name}." in seen.text
    done = await superuser.browser.act("book-payment", "bank statement 12", **_payment(first, reference))
    assert done.status_code == 200, done.text
    assert await _balance(office, first) == 500_000_000
    entry = await office.pool.fetchrow("select * from credit_entry where organization_id = $1", first.id)
    assert (entry["type"], entry["reason"], entry["reference"]) == (
        "purchase",
        "Payment of 49.00 EUR",
        reference.upper(),
    )
    [trace] = await written(office, entry["id"])
    assert (trace.verb, trace.after["paid"], trace.reason) == (
        "credits.book_payment",
        "49.00 EUR",
        "bank statement 12",
    )
    for organization in (first, second):
        again = await superuser.browser.act("book-payment", **_payment(organization, f"  {reference.lower()} "))
        assert again.status_code == 409
        assert f"was booked for {first.name} ({first.slug}) on" in again.text
    assert await _balance(office, second) is None


async def test_of_two_bookings_of_one_payment_at_once_one_is_made(office, superuser):
    organizations = [await office.organization() for _ in range(4)]
    reference = f"RF{secrets.token_hex(6)}"
    forms = [
        await superuser.browser.look("book-payment", **_payment(organization, reference))
        for organization in organizations
    ]
    answers = await asyncio.gather(
        *(superuser.browser.post("/actions/book-payment", {**form, "reason": "race"}) for form in forms)
    )
    assert sorted(answer.status_code for answer in answers) == [200, 409, 409, 409]
    balances = [await _balance(office, organization) for organization in organizations]
    assert sorted(balance or 0 for balance in balances) == [0, 0, 0, 500_000_000]


async def test_money_received_has_a_currency(office, superuser):
    organization = await office.organization()
    answer = await superuser.browser.act("book-payment", **_payment(organization, "RF1", paid="49"))
    assert answer.status_code == 422


async def test_who_may_not_give_credits_founds_no_organization_with_some(office):
    support = await office.operator("support")
    await office.organization()
    answer = await support.browser.act("create-organization", name="Rich", plan="portal-plan", bonus="1000")
    assert answer.status_code == 403
    assert "These may: superuser, admin, finance" in answer.text
