"""The only module that knows BullMQ: its options, its schedulers, and the traps of its Python edition.

1. A job is tried once and kept for ever unless told otherwise; ids of kept jobs are taken.
2. It writes an error's text and trace into Redis, in clear. Ours says nothing, and the row in PostgreSQL does.
3. A worker starts itself in its constructor, and its run dies if Redis is away at that moment.
4. Waits are rounded up to whole seconds until the server's version was read.
5. Its connections, made of a URL, retry for minutes; two of them share a client that they are given.
6. Listeners are called in the middle of its work: one that raises breaks it.
7. A job whose worker died twice fails without ever being run again, and no attempt is counted.
8. Closing waits for running jobs without end.
9. A scheduler whose next job could not be made stays silent for ever.
10. An entry that cannot be read stays in the queue, and is met again and again.
"""

import asyncio
import logging
import time
import warnings
from collections.abc import Awaitable, Callable
from typing import Any

from bullmq import Job as Ticket
from bullmq import Queue, Worker
from bullmq.redis_connection import RedisConnection
from redis.exceptions import RedisError

from domain.faults import in_one_line
from domain.redis_keys import JOBS_PREFIX, JOBS_QUEUE
from domain.settings import Settings
from jobs.engine.connections import open_redis
from jobs.registry import JOBS, Job

log = logging.getLogger("paid_endpoint.jobs")

RETRY_MILLISECONDS = 1_000
NEVER_STALLED_OUT = 1_000_000
"""Our rows count the attempts that ended with their worker (trap 7)."""
LATE_MILLISECONDS = 60_000
EVENTS_KEPT = 1_000
_FORCED_SECONDS = 3.0

Processor = Callable[[Any, str], Awaitable[None]]


class TryAgain(Exception):  # noqa: N818  it is a message to BullMQ
    """All that Redis is told of an attempt that failed (trap 2)."""


def options_of(job: Job) -> dict[str, Any]:
    """Of each ticket (trap 1). BullMQ allows one attempt more than our rows do, so that these decide."""
    return {
        "attempts": job.attempts + 1,
        "backoff": {"type": "exponential", "delay": job.backoff_seconds * 1_000},
        "removeOnComplete": True,
        "removeOnFail": True,
        "stackTraceLimit": 0,
    }


def open_queue(client: Any) -> Queue:
    """The queue on a client of ours; close the client, not the queue."""
    return Queue(JOBS_QUEUE, {"connection": client, "prefix": JOBS_PREFIX})


async def add(queue: Queue, job: Job, ticket: str, run_id: str) -> None:
    """Put a run that waits into the queue; one that is there already stays one."""
    await queue.add(job.name, {"ticket": ticket}, {**options_of(job), "jobId": f"run-{run_id}"})


def ticket_of(entry: Ticket) -> str:
    """By which the run is known: what our row says, or the id that a scheduler gave."""
    data = entry.data if isinstance(entry.data, dict) else {}
    return str(data.get("ticket") or entry.id)


async def keep_schedules(queue: Queue) -> list[str]:
    """Make, mend and remove schedulers until they are those of the registry; the names of what was changed (trap 9)."""
    present = {scheduler["key"]: scheduler for scheduler in await queue.getJobSchedulers()}
    changed = []
    for job in JOBS:
        if not _as_it_should_be(present.pop(job.name, None), job):
            repeat = {"pattern": job.cron, "tz": job.time_zone}
            try:
                await queue.upsertJobScheduler(job.name, repeat, job.name, {}, options_of(job))
            except TypeError:
                continue  # so BullMQ says that an entry for the next time is there already, which will go on
            changed.append(job.name)
    for name in present:
        await queue.removeJobScheduler(name)
        changed.append(name)
    if changed:
        await queue.trimEvents(EVENTS_KEPT)
    return changed


def _as_it_should_be(scheduler: dict[str, Any] | None, job: Job) -> bool:
    if scheduler is None or scheduler.get("pattern") != job.cron or scheduler.get("tz") != job.time_zone:
        return False
    due = scheduler.get("next")
    return due is not None and int(due) > time.time() * 1_000 - LATE_MILLISECONDS


async def open_worker(settings: Settings, processor: Processor) -> Worker:
    """A worker that is ready to run. Redis answers at this moment (trap 3), else it raises what redis-py raises."""
    takeover = int(settings.jobs.takeover_seconds * 1_000)
    worker = Worker(
        JOBS_QUEUE,
        processor,
        {
            "connection": open_redis(settings),
            "prefix": JOBS_PREFIX,
            "autorun": False,
            "concurrency": settings.jobs.concurrency,
            "lockDuration": takeover,
            "stalledInterval": takeover // 2,
            "maxStalledCount": NEVER_STALLED_OUT,
            "runRetryDelay": RETRY_MILLISECONDS,
        },
    )
    blocking = RedisConnection(open_redis(settings, blocking=True))
    worker.backend.blocking_connection = worker.blockingRedisConnection = blocking
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of the eviction policy, which we look at ourselves
            await blocking.getRedisVersion()
    except BaseException:
        await close_worker(worker, 0)
        raise
    worker.nextJobFromJobData = _without_unreadable(worker, worker.nextJobFromJobData)
    worker.on("error", _quietly(_told))
    return worker


def _without_unreadable(worker: Worker, read: Callable[..., Awaitable[Ticket | None]]) -> Callable[..., Awaitable[Any]]:
    """Trap 10: such an entry leaves the queue. Its run, or its scheduler, puts another one in its place."""

    async def reading(data: Any = None, entry_id: str | None = None, *rest: Any) -> Ticket | None:
        try:
            return _whole(await read(data, entry_id, *rest))
        except (RedisError, OSError):
            raise
        except Exception as fault:  # noqa: BLE001  whatever somebody wrote there
            log.warning("the queue's entry %s cannot be read and is removed: %s", entry_id, in_one_line(fault))
            await _remove(worker, str(entry_id))
            return None

    return reading


def _whole(entry: Ticket | None) -> Ticket | None:
    # Without these it would stay there when it has ended, and its id would be taken (trap 1).
    if entry is not None and not (entry.name and entry.opts.get("removeOnComplete") and entry.opts.get("removeOnFail")):
        raise ValueError("it lacks its name or its options")
    return entry


async def _remove(worker: Worker, entry_id: str) -> None:
    entry, client = worker.backend.toKey(entry_id), worker.backend.conn
    await client.lrem(worker.backend.keys["active"], 0, entry_id)
    await client.srem(worker.backend.keys["stalled"], entry_id)
    await client.delete(entry, f"{entry}:lock")


async def close_worker(worker: Worker, seconds: float) -> None:
    """Let running jobs end within so many seconds, then cancel them (trap 8)."""
    worker.closing = True
    if worker.waiting:
        worker.waiting.cancel()
    if worker.jobs and seconds:
        await asyncio.wait(worker.processing, timeout=seconds)
    running = list(worker.processing)
    try:
        async with asyncio.timeout(_FORCED_SECONDS):
            await worker.close(force=True)
    except Exception as fault:  # noqa: BLE001  it ends anyway
        log.warning("the worker did not close well: %s", in_one_line(fault))
    if running:
        # What was cancelled puts its run back.
        await asyncio.wait(running, timeout=_FORCED_SECONDS)


def _quietly(listener: Callable[..., None]) -> Callable[..., None]:
    """Trap 6."""

    def heard(*event: Any) -> None:
        try:
            listener(*event)
        except Exception:
            log.exception("a listener broke")

    return heard


def _told(fault: Any, *_: Any) -> None:
    log.warning("queue: %s", in_one_line(fault) if isinstance(fault, BaseException) else fault)
