"""When jobs are due, by their cron: and which have missed their time while no worker was there."""

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

from croniter import croniter

from jobs.registry import Job

GRACE = timedelta(seconds=90)
"""So long after its time a run may still be on its way."""


def due_before(job: Job, moment: datetime) -> datetime:
    """The last time at which the job was due, at the moment or before it."""
    local = (moment + timedelta(microseconds=1)).astimezone(ZoneInfo(job.time_zone))
    found: datetime = croniter(job.cron, local).get_prev(datetime)
    return found.astimezone(UTC)


def due_after(job: Job, moment: datetime) -> datetime:
    """The next time."""
    found: datetime = croniter(job.cron, moment.astimezone(ZoneInfo(job.time_zone))).get_next(datetime)
    return found.astimezone(UTC)


def missed(jobs: Sequence[Job], last_asked: Mapping[str, datetime], now: datetime) -> list[Job]:
    """Jobs whose last time has passed without a run. One that never had a run waits for its first time."""
    late = [job for job in jobs if job.name in last_asked and now - due_before(job, now) > GRACE]
    return [job for job in late if last_asked[job.name] < due_before(job, now)]
