"""What a worker process does beside running jobs: it tells which jobs there are, carries waiting runs into the queue,
finds lost ones, makes up for missed ones, and keeps the schedulers.

Any number of processes may do it at once.
"""

import time
from contextlib import suppress
from typing import Any

from bullmq import Queue

from domain.audit import Actor
from domain.faults import NotFound
from domain.job_runs import find_lost, last_asked, list_waiting, publish, request_run
from jobs.engine.queue import add, keep_schedules
from jobs.engine.running import Context, log
from jobs.engine.schedule import missed
from jobs.registry import BY_NAME, JOBS
from jobs.work import utc_now

LOOK_SECONDS = 1.0
PUBLISH_SECONDS = 60.0
SCHEDULES_SECONDS = 60.0
MISSED_SECONDS = 60.0
LOST_SECONDS = 10.0
CONNECT_SECONDS = 5.0
SYSTEM = Actor(name="made up for a missed time")


class Upkeep:
    """Call `look` every second; it raises what asyncpg and redis-py raise, and goes on the next time."""

    def __init__(self, context: Context, queue: Queue) -> None:
        self._context, self._queue = context, queue
        self._published_at = self._schedules_at = self._missed_at = self._lost_at = 0.0

    def from_scratch(self) -> None:
        """Redis was away: look at everything anew, as it may have lost its memory."""
        self._schedules_at = self._missed_at = self._lost_at = 0.0

    async def look(self) -> None:
        """Whatever is due of it."""
        now = time.monotonic()
        async with self._context.database.acquire(timeout=CONNECT_SECONDS) as connection:
            if now >= self._published_at:
                # Again and again: a process or a command of an older version says that newer jobs are gone.
                await publish(connection, [job.record for job in JOBS])
                self._published_at = now + PUBLISH_SECONDS
            if now >= self._lost_at:
                if lost := await find_lost(connection, utc_now()):
                    log.warning("%d runs had lost their worker and wait again", lost)
                self._lost_at = now + LOST_SECONDS
            await self._carry(connection)
            if now >= self._schedules_at:
                if changed := await keep_schedules(self._queue):
                    log.info("scheduled: %s", ", ".join(changed))
                self._schedules_at = now + SCHEDULES_SECONDS
            if now >= self._missed_at:
                await self._make_up(connection)
                self._missed_at = now + MISSED_SECONDS

    async def _carry(self, connection: Any) -> None:
        for run in await list_waiting(connection):
            if run.name in BY_NAME:
                await add(self._queue, BY_NAME[run.name], run.ticket, str(run.id))

    async def _make_up(self, connection: Any) -> None:
        async with connection.transaction():
            # One process at a time, or two would each ask for the same run.
            if not await connection.fetchval("select pg_try_advisory_xact_lock($1)", MAKE_UP_LOCK):
                return
            # By the clock that runs are noted with, or one that is ahead would find times missed again and again.
            now = await connection.fetchval("select now()")
            for job in missed(JOBS, await last_asked(connection, list(BY_NAME)), now):
                log.warning("%s missed its time and is made up for", job.name)
                with suppress(NotFound):
                    await request_run(connection, job.name, {}, SYSTEM)


MAKE_UP_LOCK = 7_236_118_047
"""Advisory lock (transaction scope) under which missed runs are asked for."""
