"""The portal's application: its parts, opened and closed in order, its routes, and what answers when one fails."""

from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager

from starlette.applications import Starlette
from starlette.middleware import Middleware

from domain.databases import open_pool
from domain.identity.throttle import Throttle
from domain.log_store.store import open_logs
from domain.quotas.limiter import Limiter
from domain.redis_client import Client, open_client
from domain.settings import Settings
from portal.background import TASKS, Task, running
from portal.live import LiveUsage
from portal.routes import routes
from portal.services import Services
from portal.web.failures import EXCEPTION_HANDLERS
from portal.web.guarding import GuardedRequests
from portal.web.measures import MeasuredRequests, Measures
from portal.web.metrics_port import serving_metrics
from portal.web.templates import Templates
from portal.web.traced import TracedRequests, tracing
from portal.web.turns import Turns

LARGEST_BODY = 1_048_576


def create_app(settings: Settings, tasks: Sequence[Task] = TASKS) -> Starlette:
    """The application of one process. Nothing is opened before its lifespan starts. Raises ValueError for a bad setting."""
    settings.secrets.key_by_version  # noqa: B018  parsing is the check
    measures = Measures()

    @asynccontextmanager
    async def lifespan(app: Starlette) -> AsyncIterator[dict[str, object]]:
        async with (
            open_services(settings) as services,
            tracing(app, settings.traces, "portal"),
            serving_metrics(settings.portal, measures, services.database),
            running(services, tasks),
        ):
            app.state.services = services
            yield {}

    return Starlette(
        routes=routes(),
        middleware=[
            Middleware(TracedRequests),
            Middleware(MeasuredRequests, measures=measures),
            Middleware(GuardedRequests, face=settings.portal),
        ],
        exception_handlers=EXCEPTION_HANDLERS,
        lifespan=lifespan,
        max_body_size=LARGEST_BODY,
    )


@asynccontextmanager
async def open_services(settings: Settings) -> AsyncIterator[Services]:
    """Open every part, close them in reverse. None of them fails because a server is away: they connect when used."""
    async with AsyncExitStack() as stack:
        pool = await open_pool(settings.database, "paid-endpoint portal")
        stack.push_async_callback(pool.close)
        redis: Client = open_client(settings.redis)
        stack.push_async_callback(redis.aclose)
        limiter = Limiter(settings.redis, workers=1)
        await limiter.start()
        stack.push_async_callback(limiter.stop)
        logs = await stack.enter_async_context(open_logs(settings))
        yield Services(
            settings=settings,
            database=pool,
            redis=redis,
            templates=Templates(settings),
            throttle=Throttle(redis, settings.redis),
            limiter=limiter,
            live=LiveUsage(pool, logs=logs),
            turns=Turns(settings.database.pool_max_size),
            logs=logs,
        )
