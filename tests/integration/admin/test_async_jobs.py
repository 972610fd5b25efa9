"""Asynchronous jobs in the back office: of everybody, of one, found by what an operator has of them."""

import re
from uuid import uuid4

import pytest

from domain.operators import OPERATOR_ROLES
from tests.job_rows import asynchronous_operation, write_job


@pytest.fixture
async def jobs(office):
    """Two organizations with a job each, and the operation."""
    operation = await asynchronous_operation(office.pool)
    ours, theirs = await office.organization(), await office.organization("Theirs <b>bold</b>")
    failing = {"status": "failed", "error": "no <paper>"}
    waiting = {"attempts": 3, "last_error": "The service answered 503 <b>."}
    return {
        "operation": operation,
        "ours": (ours, await write_job(office.pool, ours.id, operation, ago=20, **failing)),
        "theirs": (theirs, await write_job(office.pool, theirs.id, operation, ago=10, **waiting)),
    }


async def listed(person, query: str) -> list[str]:
    answer = await person.browser.get(f"/async-jobs{query}")
    assert answer.status_code == 200, answer.text
    assert "<paper>" not in answer.text
    return list(dict.fromkeys(re.findall(r'href="/async-jobs/([0-9a-f-]{36})"', answer.text)))


async def test_jobs_of_everybody_and_of_one_organization(superuser, jobs):
    (ours, our_job), (_, their_job) = jobs["ours"], jobs["theirs"]
    service = f"?service={jobs['operation'].service_slug}"
    assert await listed(superuser, service) == [str(their_job), str(our_job)]
    assert await listed(superuser, f"{service}&status=failed") == [str(our_job)]
    assert await listed(superuser, f"?organization={ours.slug}") == [str(our_job)]
    assert await listed(superuser, f"?organization={ours.slug}&status=completed") == []


async def test_wrong_filters_are_told(superuser):
    for query in ("?status=done", "?key=nonsense", "?organization=nobody-at-all"):
        answer = await superuser.browser.get(f"/async-jobs{query}")
        assert answer.status_code == 422
        assert "These filters cannot be used" in answer.text


async def test_one_job_says_how_it_is_with_its_service_and_leads_to_what_can_be_done(superuser, jobs):
    theirs, job_id = jobs["theirs"]
    page = await superuser.browser.get(f"/async-jobs/{job_id}")
    for words in (
        "3 times", "The service answered 503 &lt;b&gt;.", f"/organizations/{theirs.slug}", "2 credits are held",
        f"/actions/cancel-async-job?job={job_id}", f"/actions/send-async-job?job={job_id}", 'data-refresh="5"',
    ):  # fmt: skip
        assert words in page.text, words
    ended = await superuser.browser.get(f"/async-jobs/{jobs['ours'][1]}")
    assert "/actions/" not in ended.text.split('id="content"')[1].split("</main>")[0]
    assert (await superuser.browser.get(f"/async-jobs/{uuid4()}")).status_code == 404


async def test_a_result_is_its_customers_alone(office, superuser, jobs):
    organization, _ = jobs["ours"]
    secret = b'{"diagnosis": "confidential"}'
    job_id = await write_job(office.pool, organization.id, jobs["operation"], status="completed", result=secret)
    page = await superuser.browser.get(f"/async-jobs/{job_id}")
    assert "only its organization can fetch" in page.text
    assert "confidential" not in page.text


async def test_a_job_is_found_by_its_id_and_by_its_requests(office, superuser, jobs):
    _, job_id = jobs["theirs"]
    request_id = await office.pool.fetchval("select request_id from async_job where id = $1", job_id)
    for text in (job_id, request_id):
        answer = await superuser.browser.get("/find", params={"q": str(text)})
        assert answer.headers["location"] == f"/async-jobs/{job_id}"


async def test_an_organizations_page_shows_its_jobs(superuser, jobs):
    ours, job_id = jobs["ours"]
    page = await superuser.browser.get(f"/organizations/{ours.slug}")
    assert f'href="/async-jobs/{job_id}"' in page.text
    assert f'href="/async-jobs?organization={ours.slug}"' in page.text


@pytest.mark.parametrize("role", OPERATOR_ROLES)
async def test_every_role_may_look(office, jobs, role):
    browser = (await office.operator(role)).browser
    assert (await browser.get("/async-jobs")).status_code == 200
    page = await browser.get(f"/async-jobs/{jobs['theirs'][1]}")
    assert page.status_code == 200
    assert ("/actions/cancel-async-job" in page.text) is (role in ("superuser", "admin", "support"))
