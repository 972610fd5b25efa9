"""The back office's application: its parts, opened and closed in order, its routes, and what answers when one fails."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from starlette.applications import Starlette
from starlette.middleware import Middleware

from admin.routes import routes
from admin.services import open_services
from admin.web.failures import EXCEPTION_HANDLERS
from domain.settings import Settings
from portal.web.guarding import GuardedRequests
from portal.web.measures import MeasuredRequests, Measures
from portal.web.metrics_port import serving_metrics
from portal.web.traced import TracedRequests, tracing

LARGEST_BODY = 1_048_576


def create_app(settings: Settings) -> Starlette:
    """The application of one process. Nothing is opened before its lifespan starts. Raises ValueError for a bad setting."""
    settings.secrets.key_by_version  # noqa: B018  parsing is the check
    measures = Measures()

    @asynccontextmanager
    async def lifespan(app: Starlette) -> AsyncIterator[dict[str, object]]:
        async with (
            open_services(settings) as services,
            tracing(app, settings.traces, "admin"),
            serving_metrics(settings.admin, measures, services.database),
        ):
            app.state.services = services
            yield {}

    return Starlette(
        routes=routes(),
        middleware=[
            Middleware(TracedRequests),
            Middleware(MeasuredRequests, measures=measures),
            Middleware(GuardedRequests, face=settings.admin),
        ],
        exception_handlers=EXCEPTION_HANDLERS,
        lifespan=lifespan,
        max_body_size=LARGEST_BODY,
    )
