"""The upstream of every load test and drill: a few answers whose right form is known, as a bare ASGI app.

GET  /items, any other path    about 200 bytes of JSON
GET  /events?count=&ms=        SSE, one event every `ms`; each carries the time at which it was sent
GET  /bytes?count=             that many bytes with a length; `chunked=1` without
POST /bytes                    reads all, says how many
GET  /slow?ms=                 answers later
GET  /streams                  how many event streams are open, how many were left by their reader
"""

import asyncio
import json
import sys
import time
from collections.abc import Awaitable, Callable, MutableMapping
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl

from loadtests.processes import ROOT, Process

Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]

BLOCK = bytes(range(256)) * 256
ITEMS = json.dumps(
    {"ok": True, "items": list(range(10)), "message": "an answer of two hundred bytes " + "." * 110}
).encode()
STREAMS = {"open": 0, "left": 0, "whole": 0}


async def app(scope: Message, receive: Receive, send: Send) -> None:
    """Answer by path."""
    if scope["type"] != "http":
        return
    query = dict(parse_qsl(scope["query_string"].decode()))
    path = scope["path"].rpartition("/")[2]
    if path == "events":
        await _events(receive, send, int(query.get("count", 50)), int(query.get("ms", 20)) / 1000)
    elif path == "bytes" and scope["method"] == "POST":
        await _count(receive, send)
    elif path == "bytes":
        await _bytes(send, int(query.get("count", 0)), chunked="chunked" in query)
    elif path == "streams":
        await _json(send, json.dumps(STREAMS).encode())
    else:
        await asyncio.sleep(int(query.get("ms", 0)) / 1000)
        await _json(send, ITEMS)


async def _json(send: Send, body: bytes) -> None:
    headers = [(b"content-type", b"application/json"), (b"content-length", b"%d" % len(body))]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    await send({"type": "http.response.body", "body": body})


async def _events(receive: Receive, send: Send, count: int, spacing: float) -> None:
    headers = [(b"content-type", b"text/event-stream"), (b"cache-control", b"no-store")]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    gone = asyncio.ensure_future(_until_gone(receive))
    STREAMS["open"] += 1
    due = time.monotonic()
    try:
        for number in range(count):
            event = f"id: {number}\ndata: {time.monotonic_ns()}\n\n".encode()
            await send({"type": "http.response.body", "body": event, "more_body": True})
            due += spacing
            await asyncio.wait({gone}, timeout=max(0.0, due - time.monotonic()))
            if gone.done():
                break
        else:
            await send({"type": "http.response.body", "body": b"event: end\ndata: end\n\n"})
    finally:
        STREAMS["left" if gone.done() else "whole"] += 1
        STREAMS["open"] -= 1
        gone.cancel()


async def _until_gone(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass


async def _bytes(send: Send, count: int, *, chunked: bool) -> None:
    headers = [(b"content-type", b"application/octet-stream")]
    if not chunked:
        headers.append((b"content-length", b"%d" % count))
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    while count > 0:
        part = BLOCK[:count]
        count -= len(part)
        await send({"type": "http.response.body", "body": part, "more_body": True})
    await send({"type": "http.response.body", "body": b""})


async def _count(receive: Receive, send: Send) -> None:
    count, more = 0, True
    while more:
        message = await receive()
        if message["type"] == "http.disconnect":
            return
        count += len(message.get("body", b""))
        more = message.get("more_body", False)
    await _json(send, b'{"received":%d}' % count)


def start_upstream(folder: Path, port: int, core: int | None = None) -> Process:
    """Run it on `port`. Raises ProcessFailedError."""
    argv = [sys.executable, "-m", "uvicorn", "loadtests.upstream:app", "--port", str(port), "--no-access-log"]
    env = {"PYTHONPATH": str(ROOT)}
    return Process("upstream", argv, folder / "upstream.log", core=core, env=env).start(port)
