"""Asking piccolo-admin: a GET with our question in it, on a connection that is lent to it, and its answer whole."""

import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from starlette.datastructures import MutableHeaders
from starlette.responses import Response
from starlette.types import Message, Scope

from admin.tables.engine import ENGINE
from admin.tables.panel import panel
from admin.tables.questions import BadQuestion
from admin.web.admission import working
from admin.web.visit import Visit
from domain.faults import NotFound, NotSignedIn

STATEMENT_MS = 2_000
COOKIE = "id"
"""What piccolo-admin calls the session's cookie. No browser ever has it."""


@asynccontextmanager
async def reading(visit: Visit) -> AsyncIterator[Any]:
    """A connection in a read-only transaction whose statements end in time, for us and for Piccolo."""
    async with working(visit, changes=False):
        await visit.connection.execute(f"set local statement_timeout = {STATEMENT_MS}")
        with ENGINE.lent(visit.connection):
            yield visit.connection


async def ask(visit: Visit, query: bytes = b"") -> Response:
    """Piccolo's answer to this request's path with another query. Raises BadQuestion, NotFound."""
    start: dict[str, Any] = {}
    body = bytearray()

    async def send(message: Message) -> None:
        if message["type"] == "http.response.start":
            start.update(message)
        elif message["type"] == "http.response.body":
            body.extend(message.get("body", b""))

    await panel()(_scope(visit, query), _nothing_to_receive, send)
    status = int(start["status"])
    if status == 401:
        raise NotSignedIn("Sign in first.")
    if status == 404:
        raise NotFound("There is no such row.")
    if status >= 400:
        raise BadQuestion(_sentence(bytes(body)))
    headers = MutableHeaders(raw=start["headers"])
    return Response(bytes(body), status, media_type=headers.get("content-type"))


def _scope(visit: Visit, query: bytes) -> Scope:
    """The request as piccolo-admin may see it: by GET, with no header of the browser, and with its session."""
    scope = dict(visit.request.scope)
    cookie = f"{COOKIE}={visit.session_token}; csrftoken=ours".encode("latin-1")
    headers = [(b"host", b"localhost"), (b"cookie", cookie), (b"accept", b"application/json")]
    scope.update(method="GET", query_string=query, headers=headers, state={})
    for ours in ("user", "auth", "endpoint", "router", "path_params"):
        scope.pop(ours, None)
    return scope


async def _nothing_to_receive() -> Message:
    return {"type": "http.request", "body": b"", "more_body": False}


def _sentence(body: bytes) -> str:
    """What piccolo-admin says of a question that it does not like, shortened."""
    text = body.decode("utf-8", "replace")
    try:
        told = json.loads(text)
        text = told["detail"][0]["msg"] if isinstance(told, dict) else text
    except (ValueError, KeyError, TypeError, IndexError):
        pass
    return f"This cannot be answered: {text[:200]}"
