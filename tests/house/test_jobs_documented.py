"""docs/jobs.md lists the jobs that there are, as they are."""

import re
from pathlib import Path

from jobs.registry import JOBS

PAGE = Path(__file__).resolve().parents[2] / "docs" / "jobs.md"


def test_the_table_of_jobs_is_the_registry():
    rows = re.findall(r"^\| `([a-z-]+)` \| `([^`]+)` \| (.+) \|$", PAGE.read_text(), re.MULTILINE)
    assert rows == [(job.name, job.cron, job.description) for job in JOBS]
    assert {job.time_zone for job in JOBS} == {"UTC"}, "the page says that all times are UTC"
