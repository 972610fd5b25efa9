"""Actions on asynchronous operations: what is held is free again, secrets are shown to few, bounds hold."""

import re
from datetime import UTC, datetime, timedelta

import pytest
from standardwebhooks import Webhook

from domain import operations, services
from domain.async_jobs.callback_secrets import signer_of_job
from domain.async_jobs.reading import fetch_anybodys_job
from domain.credits.accounts import fetch_balance
from domain.credits.granting import grant
from tests.audited import written
from tests.job_rows import asynchronous_operation, write_job

SECRET = re.compile(r"whsec_[A-Za-z0-9+/=]{44}")


@pytest.fixture
async def later(connection):
    """An asynchronous operation of a service of its own."""
    return await asynchronous_operation(connection)


@pytest.fixture
async def held(connection, customer, later):
    """A job at work for which 2 of the customer's 10 credits are held."""
    owner = customer.organization.id
    await grant(connection, owner, amount_micro=10_000_000, reason="to begin with")
    job_id = await write_job(connection, owner, later, status="processing")
    await connection.execute(
        "update credit_account set reserved_micro = reserved_micro + 2000000 where organization_id = $1", owner
    )
    return job_id


async def test_a_cancelled_job_costs_nothing_and_its_customer_reads_why(superuser, connection, customer, held):
    owner = customer.organization.id
    assert (await fetch_balance(connection, owner)).available_micro == 8_000_000
    seen = await superuser.browser.preview("cancel-async-job", job=str(held), said="The printer <b>broke</b>.")
    for words in ("The customer reads: The printer &lt;b&gt;broke&lt;/b&gt;.", "is not told", "40 % done"):
        assert words in seen.text
    done = await superuser.browser.act("cancel-async-job", "ticket 4711", job=str(held), said="The printer broke.")
    assert done.status_code == 200, done.text
    assert "2 credits are free again" in done.text
    job = await fetch_anybodys_job(connection, held)
    assert (job.status, job.reason, job.error, job.charged_micro) == ("failed", "cancelled", "The printer broke.", 0)
    balance = await fetch_balance(connection, owner)
    assert (balance.available_micro, balance.balance_micro) == (10_000_000, 10_000_000)
    again = await superuser.browser.act("cancel-async-job", job=str(held), said="Once more.")
    assert again.status_code == 409
    assert "This job is failed since" in again.text
    assert (await fetch_balance(connection, owner)).available_micro == 10_000_000


async def test_a_cancelled_job_stands_in_its_organizations_audit_with_who_and_why(office, superuser, connection, held):
    await superuser.browser.act("cancel-async-job", "ticket 4711", job=str(held), said="The printer broke.")
    [entry] = await written(office, held)
    assert (entry.verb, entry.reason, entry.actor) == ("async_job.cancel", "ticket 4711", superuser.email)
    assert (entry.before, entry.after["said"]) == ({"status": "processing"}, "The printer broke.")


async def test_a_job_that_ended_between_looking_and_doing_is_not_cancelled(superuser, connection, held):
    form = await superuser.browser.look("cancel-async-job", job=str(held), said="The printer broke.")
    await connection.execute(
        "update async_job set status = 'completed', charged_micro = 2000000, ended_at = now(), working = false"
        " where id = $1",
        held,
    )
    done = await superuser.browser.post("/actions/cancel-async-job", {**form, "reason": "too late"})
    assert done.status_code == 409
    assert (await fetch_anybodys_job(connection, held)).status == "completed"


async def test_a_job_that_waits_is_sent_at_once_and_no_other_is(superuser, connection, customer, later, held):
    due = datetime.now(UTC) + timedelta(minutes=4)
    columns = {"due_at": due, "attempts": 7, "last_error": "The service answered 503.", "working": True}
    waiting = await write_job(connection, customer.organization.id, later, **columns)
    seen = await superuser.browser.preview("send-async-job", job=str(waiting))
    for words in ("was sent 7 times", "The service answered 503.", "under the same X-PE-Job-Id"):
        assert words in seen.text
    done = await superuser.browser.act("send-async-job", "it is up again", job=str(waiting))
    assert done.status_code == 200, done.text
    assert (await fetch_anybodys_job(connection, waiting)).due_at <= datetime.now(UTC)
    taken = await superuser.browser.act("send-async-job", job=str(held))
    assert (taken.status_code, "reports by itself" in taken.text) == (409, True)
    over = await write_job(connection, customer.organization.id, later, status="failed")
    assert (await superuser.browser.act("send-async-job", job=str(over))).status_code == 409


async def test_a_secret_is_made_shown_again_and_rotated_with_an_overlap(office, superuser, connection, later, held):
    """What is shown signs what the gateway takes: checked with another implementation of the specification."""
    slug = later.service_slug
    first = await superuser.browser.act("show-callback-secret", "set up the printer", service=slug)
    [secret] = set(SECRET.findall(first.text))
    again = await superuser.browser.act("show-callback-secret", "lost it", service=slug)
    assert set(SECRET.findall(again.text)) == {secret}
    rotated = await superuser.browser.act("rotate-callback-secret", "it leaked", service=slug, overlap_hours="2")
    [new] = set(SECRET.findall(rotated.text))
    assert new != secret
    known = (await signer_of_job(connection, office.settings.secrets, held)).secrets
    signed = {text: Webhook(text).sign("msg", datetime.now(UTC), "{}") for text in (new, secret)}
    assert [Webhook(raw).sign("msg", datetime.now(UTC), "{}") for raw in known] == list(signed.values())
    entries = await written(office, slug)
    assert [entry.verb for entry in entries] == [
        "service.show_callback_secret", "service.show_callback_secret", "service.rotate_callback_secret",
    ]  # fmt: skip
    stored = await connection.fetch(
        "select before::text, after::text, reason from audit_entry where object_id = $1", slug
    )
    assert not SECRET.search(str([dict(row) for row in stored])), "no secret stands in the audit"


@pytest.mark.parametrize("role", ["support", "analyst", "finance"])
async def test_g7_a_secret_is_shown_to_nobody_below_admin(office, later, role):
    browser = (await office.operator(role)).browser
    for slug in ("show-callback-secret", "rotate-callback-secret", "make-asynchronous", "bound-jobs"):
        assert (await browser.get(f"/actions/{slug}")).status_code == 403
        answer = await browser.post(f"/actions/{slug}/preview", {"service": later.service_slug})
        assert answer.status_code == 403
        assert not SECRET.search(answer.text)


async def test_no_preview_shows_a_secret(superuser, later):
    await superuser.browser.act("show-callback-secret", service=later.service_slug)
    for slug in ("show-callback-secret", "rotate-callback-secret"):
        assert not SECRET.search((await superuser.browser.preview(slug, service=later.service_slug)).text)


async def test_an_operation_is_made_asynchronous_and_synchronous_again(superuser, connection, customer):
    made = await asynchronous_operation(connection, asynchronous=False)
    seen = await superuser.browser.preview("make-asynchronous", operation=str(made.id))
    assert "are answered 202 with a job within a second" in seen.text
    done = await superuser.browser.act("make-asynchronous", "it takes minutes", operation=str(made.id))
    assert f"/actions/show-callback-secret?service={made.service_slug}" in done.text
    assert (await operations.fetch_operation(connection, made.id)).asynchronous
    assert (await superuser.browser.act("make-asynchronous", operation=str(made.id))).status_code == 409
    await superuser.browser.act("make-synchronous", "it is quick now", operation=str(made.id))
    assert not (await operations.fetch_operation(connection, made.id)).asynchronous


async def test_a_price_that_only_the_answer_knows_cannot_be_held_for_a_job(superuser, connection):
    made = await asynchronous_operation(connection, asynchronous=False, cost_formula="0.001 * answer.bytes")
    answer = await superuser.browser.act("make-asynchronous", operation=str(made.id))
    assert answer.status_code == 422
    assert "answer.* and asynchronous" in answer.text


async def test_jobs_of_a_service_are_bounded(superuser, connection, later):
    form = {"service": later.service_slug, "concurrency": "3", "seconds": "900"}
    seen = await superuser.browser.preview("bound-jobs", **form)
    for words in ("any number", "900 s", "3,600 s"):
        assert words in seen.text
    assert (await superuser.browser.act("bound-jobs", "two printers", **form)).status_code == 200
    service = await services.fetch_service(connection, later.service_slug)
    assert (service.job_concurrency, service.job_timeout_seconds) == (3, 900)
    assert (await superuser.browser.act("bound-jobs", **form)).status_code == 409
    for wrong in ({"seconds": "0"}, {"seconds": "604801"}, {"concurrency": "-1"}, {"concurrency": "many"}):
        assert (await superuser.browser.preview("bound-jobs", **{**form, **wrong})).status_code == 422
