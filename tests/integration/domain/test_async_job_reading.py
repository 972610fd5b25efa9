"""Jobs as people look at them: pages, filters, nobody else's, a bound on what a page looks at."""

from uuid import uuid4

import pytest

from domain import keys, organizations, plans
from domain.access import Access
from domain.async_jobs import reading
from domain.async_jobs.reading import (
    JobFilter,
    fetch_anybodys_job,
    fetch_job,
    fetch_result,
    find_job_of,
    list_anybodys_jobs,
    list_jobs,
)
from domain.faults import InvalidValue, NotFound
from domain.limit_texts import parse_limits
from domain.settings import KeySettings
from tests.databases import PEPPERS
from tests.job_rows import asynchronous_operation, write_job


@pytest.fixture
async def world(pool):
    """Two organizations, an operation, a key of the first."""
    mark = uuid4().hex[:8]
    async with pool.acquire() as connection, connection.transaction():
        await plans.create(connection, slug=f"jobs-{mark}", limits=parse_limits(["1000/hour"]), name="Jobs")
        ours = await organizations.create(connection, name=f"Ours {mark}", plan_slug=f"jobs-{mark}")
        theirs = await organizations.create(connection, name=f"Theirs {mark}", plan_slug=f"jobs-{mark}")
        operation = await asynchronous_operation(connection)
    return (*[Access(one.id, one.slug, one.name, "active", 1, "viewer") for one in (ours, theirs)], operation)


async def test_pages_go_from_the_newest_to_the_oldest_and_hold_nobody_elses(pool, world):
    ours, theirs, operation = world
    ids = [await write_job(pool, ours.organization_id, operation, ago=ago) for ago in (10, 20, 30, 40, 50)]
    await write_job(pool, theirs.organization_id, operation, ago=25)
    first = await list_jobs(pool, ours, JobFilter(), limit=2)
    second = await list_jobs(pool, ours, JobFilter(), after=first.following, limit=2)
    third = await list_jobs(pool, ours, JobFilter(), after=second.following, limit=2)
    assert [job.id for page in (first, second, third) for job in page.jobs] == ids
    assert third.following is None
    assert not third.short
    everybody = await list_anybodys_jobs(pool, None, JobFilter(service=operation.service_slug), limit=200)
    assert len(everybody.jobs) == 6
    assert {job.organization for job in everybody.jobs} == {ours.slug, theirs.slug}


async def test_filters_combine_and_an_unknown_status_is_told(pool, world):
    ours, _, operation = world
    made = await keys.create(pool, KeySettings(peppers=PEPPERS), organization_id=ours.organization_id, name="One")
    wanted = await write_job(pool, ours.organization_id, operation, status="failed", key_id=made.record.id)
    await write_job(pool, ours.organization_id, operation, status="failed")
    await write_job(pool, ours.organization_id, operation, status="completed", key_id=made.record.id)
    which = JobFilter("failed", operation.service_slug, made.record.id)
    [job] = (await list_jobs(pool, ours, which)).jobs
    assert (job.id, job.key, job.service, job.operation) == (wanted, "One", operation.service_slug, "render")
    assert (await list_jobs(pool, ours, JobFilter(service="no-such"))).jobs == ()
    with pytest.raises(InvalidValue, match="pending, processing, completed, failed"):
        await list_jobs(pool, ours, JobFilter("done"))


async def test_a_page_looks_at_so_many_rows_and_its_cursor_goes_on(pool, world, monkeypatch):
    """What is rare is found in steps, none of which reads more than LOOKED_AT rows."""
    ours, _, operation = world
    for name in ("_OF_ONE", "_OF_ALL"):
        text = getattr(reading, name).replace(str(reading.LOOKED_AT), "3")
        monkeypatch.setattr(reading, name, text)
    monkeypatch.setattr(reading, "LOOKED_AT", 3)
    rare = await write_job(pool, ours.organization_id, operation, ago=100, status="failed")
    for ago in range(10, 80, 10):
        await write_job(pool, ours.organization_id, operation, ago=ago)
    after, pages, found = None, 0, []
    while True:
        page = await list_jobs(pool, ours, JobFilter("failed"), after=after)
        pages, found, after = pages + 1, [*found, *page.jobs], page.following
        if after is None:
            break
        assert page.short
    assert ([job.id for job in found], pages) == ([rare], 3)


async def test_what_is_held_and_charged_and_why_it_failed(pool, world):
    ours, _, operation = world
    opened, done, failed = [
        await fetch_job(pool, ours, await write_job(pool, ours.organization_id, operation, status=status))
        for status in ("processing", "completed", "failed")
    ]
    assert (opened.held_micro, opened.took, opened.open, opened.why) == (2_000_000, None, True, "")
    assert (done.held_micro, done.charged_micro, done.took.total_seconds()) == (0, 2_000_000, 30)
    assert (failed.held_micro, failed.charged_micro) == (0, 0)
    assert failed.why == "The service says that it failed."


async def test_every_reason_of_the_schema_has_a_sentence():
    assert set(reading.REASONS) == set(reading.JobFailure)
    assert set(reading.STATUSES) == {"pending", "processing", "completed", "failed"}


async def test_a_query_that_looks_secret_is_not_shown(pool, world):
    ours, _, operation = world
    job_id = await write_job(pool, ours.organization_id, operation, target="/reports?token=hunter2&page=3")
    assert (await fetch_job(pool, ours, job_id)).target == "/reports?token=***&page=3"


@pytest.mark.parametrize(
    ("columns", "said"),
    [
        ({"status": "processing"}, "not completed yet"),
        ({"status": "failed"}, "failed"),
        ({"status": "completed"}, "without a result"),
        ({"status": "completed", "result_dropped_at": "ended"}, "no longer kept"),
    ],
    ids=["open", "failed", "without", "dropped"],
)
async def test_where_there_is_no_result_it_is_said_why(pool, world, columns, said):
    ours, _, operation = world
    job_id = await write_job(pool, ours.organization_id, operation, status=columns["status"])
    if "result_dropped_at" in columns:
        await pool.execute("update async_job set result_dropped_at = ended_at where id = $1", job_id)
    with pytest.raises(NotFound, match=said):
        await fetch_result(pool, ours, job_id)


async def test_a_job_and_its_result_are_of_one_organization(pool, world):
    ours, theirs, operation = world
    job_id = await write_job(pool, ours.organization_id, operation, status="completed", result=b'{"pages": 5}')
    found = await fetch_result(pool, ours, job_id)
    assert (found.content_type, found.body) == ("application/json", b'{"pages": 5}')
    job = await fetch_anybodys_job(pool, job_id)
    assert (job.organization, job.result_bytes) == (ours.slug, 12)
    assert await find_job_of(pool, ours, job.request_id) == job_id
    assert await find_job_of(pool, theirs, job.request_id) is None
    for read in (fetch_job, fetch_result):
        with pytest.raises(NotFound):
            await read(pool, theirs, job_id)
        with pytest.raises(NotFound):
            await read(pool, ours, uuid4())
