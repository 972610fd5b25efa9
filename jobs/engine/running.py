"""One attempt of one run, from its lock to the row that says what came of it."""

import asyncio
import logging
from collections.abc import AsyncIterator, Coroutine
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import timedelta
from enum import Enum
from typing import TYPE_CHECKING, Any

from domain.databases import AWAY, Pool
from domain.faults import Fault
from domain.job_locks import job_lock
from domain.job_runs import Begun, beat, begin, error_text, fail, is_known, put_back, succeed, try_later
from domain.settings import Settings
from jobs.engine.clocks import check_clock
from jobs.engine.telling import Telling
from jobs.registry import Job
from jobs.work import Clock, Finding, Work, utc_now

if TYPE_CHECKING:
    from domain.traces.direct import DirectSpans

log = logging.getLogger("paid_endpoint.jobs")

BEAT_SECONDS = 10.0
LONGEST_BACKOFF_SECONDS = 3_600
PUT_BACK_SECONDS = 2.0


class Outcome(Enum):
    """BUSY: another run of the job is under way. OVER: this run had ended before, or is needless. AGAIN: to be tried later."""

    SUCCEEDED = "succeeded"
    FAILED = "failed"
    AGAIN = "again"
    BUSY = "busy"
    OVER = "over"


@dataclass(frozen=True, slots=True)
class Context:
    """What all jobs of a process share. `worker` names it, for people; `spans` is None where traces are off."""

    database: Pool
    redis: Any
    settings: Settings
    worker: str
    clock: Clock = utc_now
    spans: "DirectSpans | None" = None


async def perform(context: Context, job: Job, ticket: str) -> Outcome:
    """Begin or go on with the run of this ticket. Raises only what hinders noting it: then nothing is known.

    Cancelled, it puts the run back for another worker.
    """
    async with context.database.acquire() as connection, job_lock(connection, job.name) as free:
        if not free:
            # Time has come again while the job runs: the run that is under way will do, or the next one.
            return Outcome.BUSY if await is_known(connection, ticket) else Outcome.OVER
        run = await begin(connection, job.name, ticket, worker=context.worker, now=utc_now())
        if run is None:
            return Outcome.OVER
        if run.attempt > job.attempts:
            # Attempts that ended with their worker are no faults that anybody caught, but they count.
            await _give_up(connection, job, run, "Each of its attempts ended with its worker.")
            return Outcome.FAILED
        log.info("%s begins (attempt %d)", job.name, run.attempt)
        return await _traced(context, job, run, _attempt(context, connection, job, run))


async def _traced(context: Context, job: Job, run: Begun, attempt: Coroutine[Any, Any, Outcome]) -> Outcome:
    """The attempt, as a span where traces are on. One that is put back or killed leaves none: another goes on with it."""
    begun = context.spans.begin() if context.spans is not None else None
    outcome = await attempt
    if context.spans is not None and begun is not None:
        said: dict[str, str | int] = {
            "paid_endpoint.job": job.name,
            "paid_endpoint.run_id": str(run.id),
            "paid_endpoint.attempt": run.attempt,
            "paid_endpoint.outcome": outcome.value,
        }
        error = "" if outcome is Outcome.SUCCEEDED else outcome.value
        context.spans.end(begun, f"job {job.name}", said, server=False, error=error)
    return outcome


async def _attempt(context: Context, connection: Any, job: Job, run: Begun) -> Outcome:
    telling = Telling(context.database, run)
    work = Work(context.database, context.redis, context.settings, context.clock, telling.progress, dict(run.arguments))
    try:
        async with _beating(context.database, run), asyncio.timeout(job.timeout_seconds):
            await check_clock(connection, utc_now())
            result = await job.load()(work)
    except asyncio.CancelledError:
        await _put_back(connection, job, run)
        raise
    except Finding as finding:
        await _give_up(connection, job, run, str(finding), finding)
        return Outcome.FAILED
    except TimeoutError:
        return await _failed(connection, job, run, f"It took longer than {job.timeout_seconds} s.")
    except Exception as fault:
        if not isinstance(fault, (Fault, *AWAY)):
            log.exception("%s broke", job.name)
        return await _failed(connection, job, run, error_text(fault))
    await succeed(connection, run, result, utc_now())
    log.info("%s is done: %s", job.name, result)
    return Outcome.SUCCEEDED


async def _failed(connection: Any, job: Job, run: Begun, error: str) -> Outcome:
    if run.attempt >= job.attempts:
        await _give_up(connection, job, run, error)
        return Outcome.FAILED
    seconds = backoff_seconds(job, run.attempt)
    log.warning("%s failed (attempt %d of %d): %s", job.name, run.attempt, job.attempts, error)
    await try_later(connection, run, error, utc_now() + timedelta(seconds=seconds))
    return Outcome.AGAIN


async def _give_up(connection: Any, job: Job, run: Begun, error: str, finding: Finding | None = None) -> None:
    log.error("%s failed for good, as run %s: %s", job.name, run.id, error)
    await fail(connection, run, error, utc_now(), result=None if finding is None else finding.result)


async def _put_back(connection: Any, job: Job, run: Begun) -> None:
    """Within a moment, or not at all: then it is found as lost."""
    log.info("%s is put back", job.name)
    try:
        async with asyncio.timeout(PUT_BACK_SECONDS):
            await put_back(connection, run)
    except AWAY as fault:
        log.warning("%s could not be put back: %s", job.name, error_text(fault))


def backoff_seconds(job: Job, attempt: int) -> int:
    """How long to wait after this attempt: twice as long each time, to an hour."""
    return min(job.backoff_seconds << (attempt - 1), LONGEST_BACKOFF_SECONDS)


@asynccontextmanager
async def _beating(database: Pool, run: Begun) -> AsyncIterator[None]:
    async def go_on() -> None:
        while True:
            await asyncio.sleep(BEAT_SECONDS)
            try:
                async with database.acquire() as connection:
                    await beat(connection, run, utc_now())
            except AWAY as fault:
                log.warning("no sign of life can be given: %s", error_text(fault))

    task = asyncio.create_task(go_on())
    try:
        yield
    finally:
        task.cancel()
        await asyncio.wait((task,))
