"""What a face counts of its own requests, by route templates and classes of status: never by path, person or organization.

Of refusals also by the code that the answer told, so that guessed passwords and missing rights are seen.
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from time import perf_counter

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from domain.databases import Pool
from domain.metrics import PoolCollector

OTHER = "other"
"""What has no route here: an unknown address, a host that is not served."""
METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE"})
BUCKETS: Sequence[float] = (0.01, 0.025, 0.05, 0.1, 0.2, 0.3, 0.5, 1.0, 2.5, 10.0)

_codes: ContextVar["set[str] | None"] = ContextVar("codes_of_refusals", default=None)


def note_refusal(code: str) -> None:
    """The answer to the request that runs here tells of this fault; each code counts once a request."""
    if (codes := _codes.get()) is not None:
        codes.add(code)


class Measures:
    """The counters of one process."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry(auto_describe=False)
        self.requests = Counter(
            "paid_endpoint_web_requests",
            "Answered requests by route, method and class of status.",
            ["route", "method", "status"],
            registry=self.registry,
        )
        self.seconds = Histogram(
            "paid_endpoint_web_request_seconds",
            "Whole time of a request by route; streams last until they end.",
            ["route"],
            buckets=BUCKETS,
            registry=self.registry,
        )
        self.in_progress = Gauge(
            "paid_endpoint_web_requests_in_progress", "Requests that are being answered.", registry=self.registry
        )
        self.refusals = Counter(
            "paid_endpoint_web_refusals",
            "Requests that were refused or failed, by the code that was told.",
            ["code"],
            registry=self.registry,
        )

    @contextmanager
    def watching(self, pool: Pool) -> Iterator[None]:
        """Show this pool, too, for as long as the block lasts."""
        collector = PoolCollector(pool)
        self.registry.register(collector)
        try:
            yield
        finally:
            self.registry.unregister(collector)


class MeasuredRequests:
    """Pure ASGI, around everything else."""

    def __init__(self, app: ASGIApp, measures: Measures) -> None:
        self._app, self._measures = app, measures

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request and count it, however it ends; or the lifespan."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        status, codes, begun = 500, set[str](), perf_counter()
        measures, token = self._measures, _codes.set(codes)

        async def seen(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
            await send(message)

        with measures.in_progress.track_inprogress():
            try:
                await self._app(scope, receive, seen)
            finally:
                _codes.reset(token)
                route = getattr(scope.get("route"), "path", OTHER)
                method = scope["method"] if scope["method"] in METHODS else OTHER
                measures.requests.labels(route, method, f"{status // 100}xx").inc()
                measures.seconds.labels(route).observe(perf_counter() - begun)
                for code in codes:
                    measures.refusals.labels(code).inc()
