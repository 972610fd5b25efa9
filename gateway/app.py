"""One worker's application: its parts, opened and closed in order, its few own routes, and the door behind them."""

import asyncio
import os
import time
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from typing import Any
from uuid import uuid4

from starlette.applications import Starlette
from starlette.routing import Route
from starlette.types import Receive, Scope, Send

from domain.async_jobs.taking import JobTaking
from domain.catalog.catalog import Catalog
from domain.credits.holds import Holds
from domain.credits.leasing import CHANNEL as CREDITS_CHANNEL
from domain.credits.ledger_access import LOCK_SECONDS
from domain.credits.wallets import Wallets
from domain.databases import open_pool
from domain.journal.journal import Journal
from domain.quotas.limiter import Limiter
from domain.settings import Settings
from domain.traces.sampling import Sampler
from domain.usage_reading import requests_since
from gateway import forwarding, health, job_paths, recording, tracing, usage
from gateway.admissions import Admissions
from gateway.bad_keys import BadKeyThrottle
from gateway.chain import COUNTED, FIRST, FREE
from gateway.client_address import AddressReader
from gateway.doors.express import ExpressDoor
from gateway.doors.plain import PlainDoor
from gateway.error_pages import error_page
from gateway.job_callbacks import job_callback
from gateway.metrics import Counts, SharedCounts
from gateway.metrics_port import MetricsPort
from gateway.outcomes import Outcomes
from gateway.own_paths import is_own
from gateway.problems import answer_refusal
from gateway.sampled import Sampled
from gateway.server.state import WorkerIdentity
from gateway.services import Services
from gateway.upstream.pool import UpstreamPool
from gateway.whole_answers import WholeAnswers

PUBLISH_SECONDS = 1.0


def create_app(settings: Settings, worker: WorkerIdentity) -> Starlette:
    """The application of one worker. Nothing is opened before its lifespan starts."""
    door = PlainDoor()
    express = ExpressDoor() if settings.gateway.door == "express" else None

    @asynccontextmanager
    async def lifespan(app: Starlette) -> AsyncIterator[dict[str, Any]]:
        async with open_services(settings, worker) as services:
            door.services = app.state.services = services
            if express is not None:
                express.services = services
            yield {}

    routes = [
        Route("/health", health.health),
        Route("/ready", health.ready),
        Route("/user/usage", usage.user_usage),
        *job_paths.ROUTES,
        Route("/callbacks/jobs/{job_id}", job_callback, methods=["POST"]),
        Route("/errors/{code}", error_page),
    ]
    return GatewayApplication(door, express, routes=routes, lifespan=lifespan, exception_handlers=answer_refusal())


class GatewayApplication(Starlette):
    """Starlette for the few routes of our own; everything else goes to the door without passing its middleware.

    Our own server takes `express`, if there is one, and then sends us only what that leaves.
    """

    def __init__(self, door: PlainDoor, express: ExpressDoor | None = None, **options: Any) -> None:
        super().__init__(**options)
        self._door = door
        self.express = express
        # For what begins like one of our own paths and is none, such as a service under /ready-made.
        self.router.default = door
        # Its redirects would be built from the Host that the caller sent.
        self.router.redirect_slashes = False

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request, or the lifespan."""
        if scope["type"] == "http" and not is_own(scope["raw_path"]):
            await self._door(scope, receive, send)
        else:
            await super().__call__(scope, receive, send)


@asynccontextmanager
async def open_services(settings: Settings, worker: WorkerIdentity) -> AsyncIterator[Services]:
    """Open every part, in the order in which a request needs them; close them in reverse."""
    async with AsyncExitStack() as stack:
        pool = await open_pool(settings.database, "paid-endpoint gateway", lock_seconds=LOCK_SECONDS)
        stack.push_async_callback(_close_pool, pool)
        journal_id = uuid4()
        wallets = Wallets(pool, journal_id)
        catalog = Catalog(pool, settings)
        catalog.hear(CREDITS_CHANNEL, wallets.recalled)
        stack.push_async_callback(catalog.stop)
        await catalog.start()
        limiter = Limiter(
            settings.redis, worker.count, books=settings.gateway.state_folder / "leases", used=requests_since(pool)
        )
        stack.push_async_callback(limiter.stop)
        await limiter.start()
        journal = Journal(settings.gateway.state_folder / "journal" / journal_id.hex, settings.journal)
        stack.push_async_callback(journal.stop)
        await journal.start()
        # From here on what is leased comes back, if not from us then with the journal's end.
        holds = Holds(wallets.access)
        for part in (wallets, holds):
            stack.push_async_callback(part.stop)
            await part.start()
        outcomes = Outcomes(wallets.access, settings.gateway)
        stack.push_async_callback(outcomes.stop)
        jobs = JobTaking(wallets.access, settings.database.pool_max_size)
        stack.push_async_callback(jobs.stop)
        upstreams = UpstreamPool(settings.upstream)
        stack.push_async_callback(upstreams.close, 0.0)
        stack.push_async_callback(outcomes.end_alone)
        sampler = Sampler.of(settings.traces)
        sampled = Sampled(sampler) if sampler is not None else None
        services = Services(
            settings=settings,
            database=pool,
            catalog=catalog,
            limiter=limiter,
            wallets=wallets,
            holds=holds,
            outcomes=outcomes,
            jobs=jobs,
            journal=journal,
            upstreams=upstreams,
            addresses=AddressReader(settings.gateway.trusted_proxies),
            bad_keys=BadKeyThrottle(settings.keys.bad_key_limit_per_minute, time.monotonic),
            counts=Counts(worker.refused),
            keep_room=FIRST,
            free=FREE,
            counted=COUNTED,
            admissions=Admissions(catalog),
            record=sampled.record if sampled else recording.record,
            record_begin=recording.record_begin,
            known_head=sampled.known_head if sampled else forwarding.known_head,
            begin_trace=sampled.begin if sampled else tracing.begin,
            whole_answers=WholeAnswers(recording.record_served, upstreams.clock),
        )
        await stack.enter_async_context(_published(services))
        yield services


async def _close_pool(pool: Any) -> None:
    with suppress(TimeoutError):
        async with asyncio.timeout(2):
            await pool.close()
    pool.terminate()


@asynccontextmanager
async def _published(services: Services) -> AsyncIterator[None]:
    """Keep this worker's counts where a scrape of any worker finds them."""
    shared = SharedCounts(os.getppid())
    gateway = services.settings.gateway
    port = MetricsPort(gateway.internal_host, gateway.internal_port, shared)
    await port.start()
    task = asyncio.create_task(_publish(services, shared))
    try:
        yield
    finally:
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task
        await port.stop()
        with suppress(OSError):
            shared.publish(services.counts)


async def _publish(services: Services, shared: SharedCounts) -> None:
    while True:
        health.take_readings(services)
        with suppress(OSError):  # a full disk ends the figures for a while, not for ever
            shared.publish(services.counts)
        await asyncio.sleep(PUBLISH_SECONDS)
