"""Jobs in the back office: what is shown of runs, running one, retrying one that failed."""

import pytest

from domain.job_runs import publish
from jobs.registry import JOBS


@pytest.fixture
async def known(office):
    """The database knows the jobs, as after a worker's start."""
    async with office.pool.acquire() as connection:
        await publish(connection, [job.record for job in JOBS])


async def test_a_job_is_run_for_a_day_and_shown_as_waiting(office, superuser, known):
    done = await superuser.browser.act("run-job", "the day was wrong", name="log-summaries", day="2026-11-20")
    assert done.status_code == 200, done.text
    run = await office.pool.fetchrow("select * from job_run where requested_by = $1", superuser.email)
    assert (run["name"], run["state"], run["arguments"]) == ("log-summaries", "waiting", '{"day": "2026-11-20"}')
    assert "waiting" in (await superuser.browser.get("/jobs?name=log-summaries")).text
    assert "2026-11-20" in (await superuser.browser.get(f"/jobs/{run['id']}")).text
    reason = await office.pool.fetchval(
        "select reason from audit_entry where verb = 'job.run' and actor_id = $1", superuser.user_id
    )
    assert reason == "the day was wrong"


async def test_a_failed_run_is_retried_once(office, superuser, known):
    run_id = await office.pool.fetchval(
        "insert into job_run (name, ticket, state, ended_at, error) values ('stale-rows', gen_random_uuid()::text,"
        " 'failed', now(), 'it broke') returning id"
    )
    assert "it broke" in (await superuser.browser.get("/jobs?state=failed")).text
    done = await superuser.browser.act("retry-job", run=str(run_id))
    assert done.status_code == 200, done.text
    assert await office.pool.fetchval("select state from job_run where id = $1", run_id) == "retried"
    again = await superuser.browser.act("retry-job", run=str(run_id))
    assert again.status_code == 409
    assert "this run is retried" in again.text


async def test_what_is_no_job_is_not_run(superuser, known):
    for values in ({"name": "nothing"}, {"name": "log-summaries", "day": "tomorrow"}, {}):
        assert (await superuser.browser.act("run-job", **values)).status_code in (404, 422)


async def test_system_health_shows_what_lies_in_the_queue_of_jobs(office, superuser):
    page = (await superuser.browser.get("/reports/system-health")).text
    for what in ("wait for a worker", "being worked on", "for later, by schedule or to be tried again"):
        assert what in page
    csv = (await superuser.browser.get("/reports/system-health.csv")).text
    assert "job queue,wait for a worker,0," in csv
