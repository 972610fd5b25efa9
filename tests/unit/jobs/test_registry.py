"""The registry is whole: a file for each job, a job for each file, and times that mean something."""

from datetime import UTC, datetime, timedelta
from inspect import iscoroutinefunction
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest
from croniter import croniter

from domain.faults import NotFound
from jobs.engine.running import LONGEST_BACKOFF_SECONDS, backoff_seconds
from jobs.engine.schedule import GRACE, due_after, due_before, missed
from jobs.registry import BY_NAME, JOBS, Job, job_named

FOLDER = Path(__file__).resolve().parents[3] / "jobs"
FRAME = {"__init__", "registry", "work"}
MOMENT = datetime(2026, 3, 29, 0, 30, tzinfo=UTC)


def job(cron: str = "0 3 * * *", zone: str = "UTC", **changes) -> Job:
    values = {
        "name": "x",
        "module": "x",
        "timeout_seconds": 60,
        "attempts": 3,
        "backoff_seconds": 10,
        "description": "X.",
    }
    return Job(cron=cron, time_zone=zone, **(values | changes))


def test_every_file_has_an_entry_and_every_entry_a_file():
    assert {job.module for job in JOBS} == {file.stem for file in FOLDER.glob("*.py")} - FRAME
    assert len(BY_NAME) == len({job.module for job in JOBS}) == len(JOBS)


@pytest.mark.parametrize("job", JOBS, ids=lambda job: job.name)
def test_every_entry_can_run(job):
    assert iscoroutinefunction(job.load())
    assert croniter.is_valid(job.cron)
    assert len(job.cron.split()) == 5
    ZoneInfo(job.time_zone)
    assert job.name.replace("-", "_") == job.module
    assert job.attempts >= 2
    assert job.backoff_seconds >= 1
    assert job.description.endswith(".")
    assert job.description.count(".") == 1


@pytest.mark.parametrize("job", JOBS, ids=lambda job: job.name)
def test_no_run_lasts_longer_than_a_statement_may(job):
    assert 60 <= job.timeout_seconds <= 3_600


def test_an_unknown_job_is_told():
    with pytest.raises(NotFound, match="log-partitions"):
        job_named("nonsense")


def test_due_times_are_those_of_the_zone_over_a_change_of_the_clock():
    berlin = job("0 3 * * *", "Europe/Berlin")
    assert due_before(berlin, MOMENT) == datetime(2026, 3, 28, 2, tzinfo=UTC)
    assert due_after(berlin, MOMENT) == datetime(2026, 3, 29, 1, tzinfo=UTC)
    assert due_after(job("0 3 * * *"), MOMENT) == datetime(2026, 3, 29, 3, tzinfo=UTC)


def test_the_moment_itself_is_due():
    at = datetime(2026, 3, 29, 3, tzinfo=UTC)
    assert due_before(job(), at) == at
    assert due_before(job(), at - timedelta(seconds=1)) == at - timedelta(days=1)


def test_only_a_time_that_passed_long_enough_ago_without_a_run_is_missed():
    nightly, at = job(name="nightly"), datetime(2026, 3, 29, 3, tzinfo=UTC)
    late = at + GRACE + timedelta(seconds=1)
    before, after = {"nightly": at - timedelta(hours=1)}, {"nightly": at + timedelta(seconds=1)}
    assert missed([nightly], before, late) == [nightly]
    assert missed([nightly], before, at + GRACE) == []
    assert missed([nightly], after, late) == []
    assert missed([nightly], {}, late) == [], "who never ran waits for the first time"


def test_each_wait_is_twice_as_long_up_to_an_hour():
    assert [backoff_seconds(job(), attempt) for attempt in (1, 2, 3)] == [10, 20, 40]
    assert backoff_seconds(job(), 30) == LONGEST_BACKOFF_SECONDS
