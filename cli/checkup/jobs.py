"""Check of the jobs: whether they run when they are due, and whether any has failed for good."""

from datetime import UTC, datetime, timedelta
from typing import Any

from cli.checkup.finding import Finding, judge
from domain.job_runs import last_asked
from jobs.engine.schedule import due_before
from jobs.registry import JOBS

LATE = timedelta(hours=1)


async def check_jobs(connection: Any) -> Finding:
    """Of a database that has the table of runs."""
    last = await last_asked(connection, [job.name for job in JOBS])
    due = datetime.now(UTC) - LATE
    late = [job.name for job in JOBS if job.name in last and last[job.name] < due_before(job, due)]
    failed = await connection.fetch(
        "select name, count(*) as runs from job_run where state = 'failed' group by 1 order by 1"
    )
    if not last:
        return judge("jobs", "none has run yet", warns=True, fails=False, advice="Run: paid-endpoint jobs")
    if late:
        told = f"not run when due: {', '.join(late)}"
        return judge("jobs", told, warns=True, fails=False, advice="Is `paid-endpoint jobs` running?")
    told = ", ".join(f"{row['runs']} of {row['name']}" for row in failed)
    return judge(
        "jobs",
        f"failed for good: {told}" if failed else "none is late, none has failed",
        warns=bool(failed),
        fails=False,
        advice="See: paid-endpoint jobs failed",
    )
