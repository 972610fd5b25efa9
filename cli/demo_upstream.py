"""An API to try the gateway on: says hello, echoes, streams, dawdles, fails on request.

Run as `python -m cli.demo_upstream PORT`. Raw ASGI, so that it is never what a measurement measures.
"""

import asyncio
import json
import sys
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any
from urllib.parse import parse_qs

Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]

CHUNK = 65_536
_ITEMS = ("a brass key", "a spare fuse", "a good pencil", "a map of nowhere", "a paper lantern")


async def app(scope: Message, receive: Receive, send: Send) -> None:
    """The whole API; `GET /` lists it."""
    if scope["type"] != "http":
        await _lifespan_or_close(scope, receive, send)
        return
    first, _, rest = scope["path"].lstrip("/").partition("/")
    route = ROUTES.get(first)
    if route is None:
        await answer(send, {"error": f"nothing at {scope['path']}", "try": list(DESCRIPTIONS)}, status=404)
        return
    await route(scope, receive, send, rest)


async def answer(send: Send, body: Any, status: int = 200) -> None:
    """One JSON answer with its length."""
    data = json.dumps(body).encode() + b"\n"
    headers = [(b"content-type", b"application/json"), (b"content-length", str(len(data)).encode())]
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": data})


async def index(_scope: Message, _receive: Receive, send: Send, _rest: str) -> None:
    """What there is."""
    await answer(send, {"demo": "paid-endpoint upstream", "paths": DESCRIPTIONS})


async def hello(_scope: Message, _receive: Receive, send: Send, _rest: str) -> None:
    """Always the same."""
    await answer(send, {"hello": "world", "from": "the demo upstream"})


async def item(_scope: Message, _receive: Receive, send: Send, rest: str) -> None:
    """Any id is in stock; the same id is always the same thing."""
    await answer(send, {"id": rest, "name": _ITEMS[sum(rest.encode()) % len(_ITEMS)], "price": "0.10"})


async def echo(scope: Message, receive: Receive, send: Send, _rest: str) -> None:
    """What arrived: method, path, query, headers in order, the body as text and its size in bytes."""
    body = bytearray()
    more = True
    while more:
        message = await receive()
        body += message.get("body", b"")
        more = message.get("more_body", False)
    await answer(
        send,
        {
            "method": scope["method"],
            "path": scope["raw_path"].decode("latin-1"),
            "query": scope["query_string"].decode("latin-1"),
            "headers": [[name.decode("latin-1"), value.decode("latin-1")] for name, value in scope["headers"]],
            "body": body[:CHUNK].decode(errors="replace"),
            "body_bytes": len(body),
        },
    )


async def sse(scope: Message, _receive: Receive, send: Send, _rest: str) -> None:
    """Counts: `?count=` events (10), one each `?interval=` seconds (1.0)."""
    count, interval = int(_query(scope, "count", "10")), float(_query(scope, "interval", "1"))
    headers = [(b"content-type", b"text/event-stream"), (b"cache-control", b"no-store")]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    for number in range(1, count + 1):
        event = f'id: {number}\ndata: {{"count": {number}}}\n\n'.encode()
        await send({"type": "http.response.body", "body": event, "more_body": True})
        if number < count:
            await asyncio.sleep(interval)
    await send({"type": "http.response.body", "body": b""})


async def slow(scope: Message, _receive: Receive, send: Send, _rest: str) -> None:
    """Answers after `?seconds=` (1.0, at most 300)."""
    seconds = min(float(_query(scope, "seconds", "1")), 300.0)
    await asyncio.sleep(seconds)
    await answer(send, {"slept": seconds})


async def status(_scope: Message, _receive: Receive, send: Send, rest: str) -> None:
    """Answers with the status that the path names."""
    code = int(rest) if rest.isdigit() and 200 <= int(rest) <= 599 else 400
    if code in {204, 304}:
        await send({"type": "http.response.start", "status": code, "headers": []})
        await send({"type": "http.response.body", "body": b""})
        return
    await answer(send, {"status": code}, status=code)


async def octets(_scope: Message, _receive: Receive, send: Send, rest: str) -> None:
    """As many bytes as the path names, streamed, with their length declared."""
    left = int(rest) if rest.isdigit() else 0
    headers = [(b"content-type", b"application/octet-stream"), (b"content-length", str(left).encode())]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    block = bytes(CHUNK)
    while left > 0:
        await send({"type": "http.response.body", "body": block[:left], "more_body": True})
        left -= CHUNK
    await send({"type": "http.response.body", "body": b""})


ROUTES: dict[str, Callable[[Message, Receive, Send, str], Awaitable[None]]] = {
    "": index,
    "hello": hello,
    "items": item,
    "echo": echo,
    "sse": sse,
    "slow": slow,
    "status": status,
    "bytes": octets,
}

DESCRIPTIONS = {
    "/hello": "says hello",
    "/items/{id}": "one item",
    "/echo": "shows method, path, headers and body as they arrived (any method)",
    "/sse?count=10&interval=1": "a stream of events that counts",
    "/slow?seconds=1": "answers late",
    "/status/{code}": "answers with that status",
    "/bytes/{n}": "streams n bytes",
}


def _query(scope: Message, name: str, default: str) -> str:
    given = parse_qs(scope["query_string"].decode("latin-1")).get(name, [default])[-1]
    return given if given.replace(".", "", 1).isdigit() else default


async def _lifespan_or_close(scope: Message, receive: Receive, send: Send) -> None:
    if scope["type"] == "websocket":
        await _websocket_echo(receive, send)
        return
    while True:
        message = await receive()
        await send({"type": f"{message['type']}.complete"})
        if message["type"] == "lifespan.shutdown":
            return


async def _websocket_echo(receive: Receive, send: Send) -> None:
    await receive()
    await send({"type": "websocket.accept"})
    while (message := await receive())["type"] == "websocket.receive":
        await send({"type": "websocket.send", "bytes": message.get("bytes"), "text": message.get("text")})


def serve(port: int) -> None:
    """Serve on 127.0.0.1 until SIGTERM."""
    import uvicorn

    uvicorn.run(app, host="127.0.0.1", port=port, log_level="warning", access_log=False, timeout_graceful_shutdown=2)


if __name__ == "__main__":
    serve(int(sys.argv[1]))
