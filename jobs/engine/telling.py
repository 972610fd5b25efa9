"""Writes down how far a run is, now and then: a job may tell as often as it likes."""

import time

from domain.databases import Pool
from domain.job_runs import Begun, tell_progress
from jobs.work import utc_now

EVERY_SECONDS = 1.0


class Telling:
    """The progress of one attempt."""

    def __init__(self, database: Pool, run: Begun) -> None:
        self._database, self._run = database, run
        self._due = 0.0

    async def progress(self, done: int, of: int, what: str) -> None:
        """Write it down, unless that happened within the last second and this is not the end."""
        now = time.monotonic()
        if now < self._due and done < of:
            return
        self._due = now + EVERY_SECONDS
        async with self._database.acquire() as connection:
            await tell_progress(connection, self._run, utc_now(), done=done, of=of, what=what)
