"""A span for each request to a face, where traces are on: what was asked by its pattern, never what was in it."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

from starlette.applications import Starlette
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from domain.trace_settings import TraceSettings

if TYPE_CHECKING:
    from domain.traces.direct import Begun, DirectSpans

_METHODS = frozenset(("DELETE", "GET", "HEAD", "OPTIONS", "PATCH", "POST", "PUT"))
_PROBES = frozenset(("/health", "/ready"))


class TracedRequests:
    """Pure ASGI, outermost. Passes everything on as it is; where `tracing` is not entered, that is all."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request, or the lifespan."""
        spans: DirectSpans | None = None
        if scope["type"] == "http" and scope["path"] not in _PROBES:
            spans = getattr(scope["app"].state, "spans", None)
        begun = spans.begin(_traceparent(scope)) if spans is not None else None
        if spans is None or begun is None:
            await self._app(scope, receive, send)
            return
        status = 0

        async def noting(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
            await send(message)

        broke = True
        try:
            await self._app(scope, receive, noting)
            broke = False
        except Exception:
            # Whoever is around us answers it, unless an answer had begun.
            broke, status = bool(status), status or 500
            raise
        finally:
            _end(spans, begun, scope, status, broke=broke)


@asynccontextmanager
async def tracing(app: Starlette, settings: TraceSettings, face: str) -> AsyncIterator[None]:
    """Send spans of this application while the block lasts, where traces are on."""
    if not settings.url:
        yield
        return
    # Only here: it takes longer to import than the rest of a face.
    from domain.traces.direct import direct_spans

    async with direct_spans(settings, f"paid_endpoint.{face}") as app.state.spans:
        yield


def _end(spans: "DirectSpans", begun: "Begun", scope: Scope, status: int, *, broke: bool) -> None:
    method = scope["method"] if scope["method"] in _METHODS else "_OTHER"
    attributes: dict[str, str | int] = {"http.request.method": method}
    # Of a path that leads nowhere nothing is said: it is the caller's text.
    route = getattr(scope.get("route"), "path", "")
    if route:
        attributes["http.route"] = route
    if status:
        attributes["http.response.status_code"] = status
    state: dict[str, Any] = scope.get("state", {})
    if "request_id" in state:
        attributes["paid_endpoint.request_id"] = state["request_id"]
    shown = method if method != "_OTHER" else "HTTP"
    error = "cut" if broke else str(status) if status >= 500 else ""
    spans.end(begun, f"{shown} {route}" if route else shown, attributes, server=True, error=error)


def _traceparent(scope: Scope) -> bytes | None:
    found = [value for name, value in scope["headers"] if name == b"traceparent"]
    return found[0] if len(found) == 1 else None
