"""The process of `paid-endpoint jobs`: a BullMQ worker and its upkeep, through outages, until it is told to stop."""

import asyncio
import contextlib
import logging
import os
import signal
import socket
import time
from collections.abc import AsyncIterator
from dataclasses import replace
from typing import Any

import asyncpg
from bullmq import Worker
from bullmq.custom_errors import DelayedError
from redis.exceptions import RedisError

from domain.faults import NotFound
from domain.job_runs import error_text
from domain.settings import Settings
from jobs.engine.connections import open_job_pool, open_redis
from jobs.engine.health import Health, serving
from jobs.engine.metrics import JobMetrics
from jobs.engine.outages import Outage
from jobs.engine.queue import TryAgain, close_worker, open_queue, open_worker, ticket_of
from jobs.engine.running import Context, Outcome, perform
from jobs.engine.upkeep import LOOK_SECONDS, Upkeep
from jobs.registry import job_named
from jobs.work import utc_now

log = logging.getLogger("paid_endpoint.jobs")

BUSY_MILLISECONDS = 5_000
LONGEST_LOOK_SECONDS = 10.0
"""A database that hangs is away, too."""
_REDIS_FAULTS = (RedisError, OSError, TimeoutError)
_DATABASE_FAULTS = (asyncpg.PostgresError, asyncpg.InterfaceError, asyncpg.InternalClientError)


def serve(settings: Settings) -> None:
    """Run until SIGTERM or SIGINT."""
    asyncio.run(run_until_stopped(settings))


async def run_until_stopped(settings: Settings) -> None:
    """The same as a coroutine, in the main thread."""
    stop, loop = asyncio.Event(), asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    async with opened(settings) as context, tracing(context) as traced:
        await Process(traced).run(stop)


@contextlib.asynccontextmanager
async def tracing(context: Context) -> AsyncIterator[Context]:
    """The same context, with spans where traces are on."""
    if not context.settings.traces.url:
        yield context
        return
    # Only here: it takes longer to import than most jobs run.
    from domain.traces.direct import direct_spans

    async with direct_spans(context.settings.traces, "paid_endpoint.jobs") as spans:
        yield replace(context, spans=spans)


@contextlib.asynccontextmanager
async def opened(settings: Settings) -> AsyncIterator[Context]:
    """The connections of a process; made when they are first used."""
    pool = await open_job_pool(settings)
    client = open_redis(settings)
    try:
        yield Context(pool, client, settings, f"{socket.gethostname()}:{os.getpid()}")
    finally:
        await client.aclose()
        pool.terminate()


class Process:
    """One worker with its upkeep."""

    def __init__(self, context: Context) -> None:
        self._context = context
        self._redis, self._database = Outage("Redis"), Outage("PostgreSQL")
        self._upkeep = Upkeep(context, open_queue(context.redis))
        self._worker: Worker | None = None
        self._running: asyncio.Task[None] | None = None
        self._metrics = JobMetrics(context)
        self.health = Health(self._metrics.text)

    async def run(self, stop: asyncio.Event) -> None:
        """Until `stop` is set; then running jobs have JOBS_SHUTDOWN_SECONDS."""
        async with serving(self._context.settings.jobs, self.health):
            try:
                while not stop.is_set():
                    await self._look()
                    with contextlib.suppress(TimeoutError):
                        async with asyncio.timeout(LOOK_SECONDS):
                            await stop.wait()
            finally:
                await self._close()

    async def _look(self) -> None:
        try:
            await self._context.redis.ping()
            if self._redis.over():
                self._upkeep.from_scratch()
            await self._keep_worker()
            async with asyncio.timeout(LONGEST_LOOK_SECONDS):
                await self._upkeep.look()
                await self._metrics.look()
            self._database.over()
        except _DATABASE_FAULTS as fault:
            self._database.met(fault)
        except _REDIS_FAULTS as fault:
            # Of a database that cannot be connected to, too.
            (self._redis if isinstance(fault, RedisError) else self._database).met(fault)
        self.health.tell(redis=not self._redis.away, database=not self._database.away)

    async def _keep_worker(self) -> None:
        if self._running is not None and self._running.done():
            log.error("the worker ended, and is made anew: %s", self._running.exception())
            await self._close()
        if self._running is None:
            await self._say_policy()
            self._worker = await open_worker(self._context.settings, self._process)
            self._running = asyncio.create_task(self._worker.run(), name="bullmq worker")
            log.info("jobs run here, as %s", self._context.worker)

    async def _process(self, entry: Any, token: str) -> None:
        begun = time.monotonic()
        try:
            outcome = await perform(self._context, job_named(entry.name), ticket_of(entry))
            self._metrics.ran(entry.name, outcome.value, time.monotonic() - begun)
        except NotFound as fault:
            log.warning("%s It is dropped.", fault)
            return
        except Exception as fault:  # noqa: BLE001  whatever it is, Redis is told nothing of it
            log.warning("%s could not be begun: %s", entry.name, error_text(fault))
            raise TryAgain("The database was away.") from None
        if outcome is Outcome.BUSY:
            later = int(utc_now().timestamp() * 1_000) + BUSY_MILLISECONDS
            await entry.moveToDelayed(later, token)
            raise DelayedError
        if outcome is Outcome.AGAIN:
            raise TryAgain("See the run.")

    async def _say_policy(self) -> None:
        policy = (await self._context.redis.info("memory")).get("maxmemory_policy")
        if policy != "noeviction":
            log.warning("Redis may evict jobs: its maxmemory-policy is %s, and must be noeviction", policy)

    async def _close(self) -> None:
        worker, running, self._worker, self._running = self._worker, self._running, None, None
        if worker is not None:
            await close_worker(worker, self._context.settings.jobs.shutdown_seconds)
        if running is not None:
            running.cancel()
            await asyncio.gather(running, return_exceptions=True)
