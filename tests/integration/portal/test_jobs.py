"""Jobs of asynchronous operations as customers see them: pages, calls, results as files."""

import re
from uuid import uuid4

import pytest

from domain import operations
from domain.service_catalog import fetch_from_catalog
from tests.job_rows import asynchronous_operation, key_of, write_job


@pytest.fixture
async def later(portal):
    """An asynchronous operation that is in everybody's catalog for the length of a test."""
    operation = await asynchronous_operation(portal.pool)
    yield operation
    await portal.pool.execute("delete from service where slug = $1", operation.service_slug)


@pytest.fixture
async def jobs(portal, owner, later):
    """A job in each status, by it."""
    key_id = await key_of(portal, owner.organization.id, "Nightly <key>")
    write = {
        "pending": {}, "processing": {"message": "page <2> of 5"},
        "completed": {"result": b"<script>alert(1)</script>", "result_type": "text/html; charset=utf-8"},
        "failed": {"error": "no <paper>"},
    }  # fmt: skip
    return {
        status: await write_job(
            portal.pool, owner.organization.id, later, ago=10 * number + 10, key_id=key_id, status=status, **columns
        )
        for number, (status, columns) in enumerate(write.items())
    }


async def test_without_an_asynchronous_operation_the_page_says_what_jobs_are(portal, owner):
    await portal.pool.execute("update operation set asynchronous = false where asynchronous")
    page = await owner.browser.get(f"{owner.root}/jobs")
    assert page.status_code == 200
    assert "None of the services has such an operation now" in page.text


async def test_the_empty_page_leads_to_an_operation_that_makes_one(owner, later):
    page = await owner.browser.get(f"{owner.root}/jobs")
    assert "No jobs yet" in page.text
    link = f"{owner.root}/services/{later.service_slug}/{later.id}"
    assert f'href="{link}"' in page.text
    one = await owner.browser.get(link)
    assert one.status_code == 200
    for words in ("It answers 202 with a job", "/user/jobs/JOB_ID", "jobs that are completed"):
        assert words in one.text
    assert "asynchronous" in (await owner.browser.get(f"{owner.root}/services/{later.service_slug}")).text


async def test_the_list_shows_the_newest_first_and_nothing_of_it_is_markup(owner, jobs):
    page = await owner.browser.get(f"{owner.root}/jobs")
    assert page.status_code == 200
    places = [page.text.index(f"/jobs/{job_id}") for job_id in jobs.values()]
    assert places == sorted(places)
    for words in ("Nightly &lt;key&gt;", "no &lt;paper&gt;", "page &lt;2&gt; of 5", "40&#8239;%", "held"):
        assert words in page.text
    assert 'data-refresh="5"' in page.text, "some are open"
    ended = await owner.browser.get(f"{owner.root}/jobs?status=completed")
    assert str(jobs["completed"]) in ended.text
    assert str(jobs["pending"]) not in ended.text
    assert "data-refresh" not in ended.text, "nothing there will change"


async def test_filters_of_the_page(owner, jobs, later):
    for query, status, count in (
        ("?status=failed", 200, 1), (f"?service={later.service_slug}", 200, 4), ("?service=none", 200, 0),
        ("?status=done", 422, 0), ("?key=nonsense", 422, 0), (f"?key={uuid4()}", 200, 0),
    ):  # fmt: skip
        page = await owner.browser.get(f"{owner.root}/jobs{query}")
        links = set(re.findall(r"/jobs/([0-9a-f-]{36})", page.text))
        assert (page.status_code, len(links)) == (status, count), query
    assert (await owner.browser.get(f"{owner.root}/jobs?cursor=nonsense")).status_code == 404


@pytest.mark.parametrize(
    ("status", "words"),
    [
        ("pending", ("2 credits are held", "then it fails and costs nothing", "not yet", 'data-refresh="5"')),
        ("processing", ("page &lt;2&gt; of 5", 'value="40"', "2 credits are held")),
        ("completed", ("2 credits were charged", "Download", "text/html")),
        ("failed", ("The service says that it failed.", "no &lt;paper&gt;", "2 credits were given back")),
    ],
)
async def test_one_job_says_where_it_stands_and_what_it_costs(owner, jobs, status, words):
    page = await owner.browser.get(f"{owner.root}/jobs/{jobs[status]}")
    assert page.status_code == 200
    for word in (*words, "Nightly &lt;key&gt;", f"/user/jobs/{jobs[status]}", "not in the logs"):
        assert word in page.text, word


async def test_an_upstreams_html_comes_as_a_file_and_never_as_a_page_of_ours(owner, jobs):
    for answer in (
        await owner.browser.get(f"{owner.root}/jobs/{jobs['completed']}/result"),
        await owner.browser.api("GET", f"/jobs/{jobs['completed']}/result"),
    ):
        assert answer.status_code == 200
        assert answer.content == b"<script>alert(1)</script>"
        assert answer.headers["content-type"] == "application/octet-stream"
        assert answer.headers["content-disposition"] == f'attachment; filename="job-{jobs["completed"]}.html"'
        assert answer.headers["x-content-type-options"] == "nosniff"
    missing = await owner.browser.get(f"{owner.root}/jobs/{jobs['failed']}/result")
    assert missing.status_code == 404
    assert "it has no result" in missing.text


@pytest.mark.parametrize("kind", ["te\u00dft/pl\u00e4in", 'x"; filename="y', "", "application/json; charset=utf-8"])
async def test_whatever_the_type_of_a_result_the_files_name_is_ours(portal, owner, later, kind):
    columns = {"status": "completed", "result": b"1", "result_type": kind}
    job_id = await write_job(portal.pool, owner.organization.id, later, **columns)
    answer = await owner.browser.get(f"{owner.root}/jobs/{job_id}/result")
    extension = "json" if "json" in kind else "bin"
    assert answer.headers["content-disposition"] == f'attachment; filename="job-{job_id}.{extension}"'


async def test_the_api_lists_pages_and_shows(owner, jobs, later):
    first = (await owner.browser.api("GET", "/jobs?limit=3")).json()
    rest = (await owner.browser.api("GET", f"/jobs?limit=3&cursor={first['next_cursor']}")).json()
    found = [job["id"] for job in first["data"] + rest["data"]]
    assert found == [str(job_id) for job_id in jobs.values()]
    assert rest["next_cursor"] is None
    [failed] = (await owner.browser.api("GET", f"/jobs?status=failed&service={later.service_slug}")).json()["data"]
    assert (failed["reason"], failed["error"], failed["credits_held"], failed["credits_charged"]) == (
        "upstream_failed", "no <paper>", "0", "0",
    )  # fmt: skip
    opened = (await owner.browser.api("GET", f"/jobs/{jobs['processing']}")).json()
    assert (opened["status"], opened["progress"], opened["credits_held"], opened["reason"]) == (
        "processing", 40, "2", None,
    )  # fmt: skip
    done = (await owner.browser.api("GET", f"/jobs/{jobs['completed']}")).json()
    assert (done["credits_charged"], done["result_bytes"], done["result_type"]) == ("2", 25, "text/html; charset=utf-8")
    assert (await owner.browser.api("GET", "/jobs?status=done")).status_code == 422
    assert (await owner.browser.api("GET", f"/jobs/{uuid4()}")).status_code == 404


async def test_a_request_in_the_logs_leads_to_its_job_and_back(portal, owner, later, jobs):
    request_id = await portal.pool.fetchval("select request_id from async_job where id = $1", jobs["completed"])
    await portal.pool.execute(
        "insert into request_log (id, at, organization_id, method, path, status, outcome, total_us, bytes_in, bytes_out)"
        " values ($1, now(), $2, 'POST', '/reports', 202, 'served', 1000, 0, 10)",
        request_id,
        owner.organization.id,
    )
    log = await owner.browser.get(f"{owner.root}/logs/{request_id}")
    assert f'href="{owner.root}/jobs/{jobs["completed"]}"' in log.text
    job = await owner.browser.get(f"{owner.root}/jobs/{jobs['completed']}")
    assert f'href="{owner.root}/logs/{request_id}"' in job.text


async def test_the_catalog_says_what_is_asynchronous(portal, owner, later):
    operations_ = (await fetch_from_catalog(portal.pool, owner.organization.id, later.service_slug)).operations
    assert [each.asynchronous for each in operations_] == [True]
    told = (await owner.browser.api("GET", f"/services/{later.service_slug}")).json()["operations"][0]
    assert told["asynchronous"] is True
    prices = (await portal.browser().get("/pricing")).text
    assert f"POST /{later.service_slug}/reports, asynchronous" in prices
    await operations.change(portal.pool, later.id, asynchronous=False)
    assert ", asynchronous" not in (await portal.browser().get("/pricing")).text
