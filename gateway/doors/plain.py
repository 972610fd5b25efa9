"""The plain door: an exchange behind any ASGI server, as a raw ASGI endpoint.

The exchange speaks in synchronous calls, ASGI in awaited messages: `_AsgiSide` keeps the calls in a short outbox that
one coroutine sends from, and tells the exchange to pause the upstream while more than `HIGH_WATER` bytes wait. Where
the server offers `scope["extensions"]["paid_endpoint"]` (ours does), interim answers, visible cuts and tunnels work;
elsewhere a cut is an exception, which makes servers drop the connection, and upgrades are answered without one.
"""

import asyncio
from collections import deque

from starlette.types import Message, Receive, Scope, Send

from gateway.ends import ClientRequest, Headers, UpstreamTunnel
from gateway.exchange import Exchange
from gateway.server.connection import ClientConnection
from gateway.services import Services

HIGH_WATER = 65_536
LOW_WATER = 16_384
NO_BODY_STATUS = frozenset((204, 304))


class CutShort(Exception):  # noqa: N818  not our fault: the upstream broke its answer
    """Raised under a foreign ASGI server so that it drops the connection."""


class PlainDoor:
    """A raw ASGI application; the application's lifespan sets `services` before the first request."""

    services: Services

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        if scope["type"] == "websocket":
            await send({"type": "websocket.close", "code": 1011})
            return
        await _AsgiSide(scope, receive, send, self.services).run()


def request_of(scope: Scope) -> ClientRequest:
    """The request as the server parsed it. Framing, upgrade and target come from our server where it serves."""
    client = scope.get("client") or ("", 0)
    request = ClientRequest(
        method=scope["method"].encode("latin-1"),
        target_path=scope["raw_path"],
        query=scope.get("query_string", b""),
        has_query=bool(scope.get("query_string", b"")),
        version="1.0" if scope["http_version"] == "1.0" else "1.1",
        headers=scope["headers"],
        body=0,
        peer=client[0],
        peer_port=client[1],
        scheme=scope.get("scheme", "http"),
    )
    ours: ClientConnection | None = scope.get("extensions", {}).get("paid_endpoint")
    if ours is None:
        request.body = announced_length(request.headers)
    else:
        request.body, request.upgrade = ours.request_body_length, ours.upgrade
        request.has_query = b"?" in ours.target
    return request


def announced_length(headers: Headers) -> int | None:
    """Content-Length, None for a chunked body, 0 without either."""
    length: int | None = 0
    for name, value in headers:
        if name == b"transfer-encoding":
            return None
        if name == b"content-length":
            length = int(value)
    return length


class _AsgiSide:
    """The client's side of one exchange over ASGI; the exchange's `Sink`."""

    __slots__ = (
        "_body_flows", "_buffered", "_client", "_ended", "_exchange", "_outbox", "_paused", "_reader", "_receive",
        "_send", "_tunneled", "_wake",
    )  # fmt: skip

    def __init__(self, scope: Scope, receive: Receive, send: Send, services: Services) -> None:
        self._receive, self._send = receive, send
        self._client: ClientConnection | None = scope.get("extensions", {}).get("paid_endpoint")
        self._outbox: deque[Message | None] = deque()
        self._wake = asyncio.Event()
        self._body_flows = asyncio.Event()
        self._buffered = 0
        self._paused = self._ended = self._tunneled = False
        self._reader: asyncio.Task[None] | None = None
        self._exchange = Exchange(request_of(scope), self, services)

    async def run(self) -> None:
        """Until the answer is sent, cut, or the client is gone."""
        exchange, client = self._exchange, self._client
        if client is not None:
            client.on_gone = self._gone
            if client.gone:
                return
        pending = exchange.begin()
        if (client is None or exchange.request.body != 0) and not self._ended:
            self._reader = asyncio.ensure_future(self._read())
        try:
            if pending is not None:
                await pending
            while not self._tunneled:
                if not self._outbox:
                    self._wake.clear()
                    await self._wake.wait()
                    continue
                message = self._outbox.popleft()
                if message is None:
                    break
                await self._pass_on(message)
                if not message.get("more_body", True):
                    break
        finally:
            if self._reader is not None:
                self._reader.cancel()
            if client is not None:
                client.on_gone = None
            if not self._tunneled:
                exchange.client_gone(cut=client is not None and client.cutting)

    async def _pass_on(self, message: Message) -> None:
        if message["type"] == "paid_endpoint.cut":
            if self._client is None:
                raise CutShort
            self._client.abort()
            self._outbox.append(None)
            return
        await self._send(message)
        self._buffered -= len(message.get("body", b""))
        if self._paused and self._buffered < LOW_WATER:
            self._paused = False
            self._exchange.resume_upstream()

    async def _read(self) -> None:
        """Pump the request body once it is wanted, and notice when the client leaves."""
        exchange = self._exchange
        while True:
            if exchange.request.body != 0 and not exchange.body_complete:
                await self._body_flows.wait()
            message = await self._receive()
            if message["type"] == "http.disconnect":
                self._gone()
                return
            if message.get("body"):
                exchange.body(message["body"])
            if exchange.request.body != 0 and not message.get("more_body", False) and not exchange.body_complete:
                exchange.body_end()
                if self._client is not None:
                    return

    def _gone(self) -> None:
        """The client left: our server says so by itself, any other through `receive`.

        A request that became a tunnel is over then, but its exchange is not: the tunnel ends that.
        """
        if not self._tunneled:
            self._exchange.client_gone(cut=self._client is not None and self._client.cutting)
        self._outbox.append(None)
        self._wake.set()

    # -- Sink

    def interim(self, status: int, headers: Headers) -> None:
        """103 goes out where the server can."""
        if self._client is not None:
            self._client.interim(status, headers)

    def head(self, status: int, headers: Headers, length: int | None) -> None:
        """Queue the head; a known length becomes Content-Length, else the server frames the body."""
        if length is not None and status != 204:
            headers = [*headers, (b"content-length", b"%d" % length)]
        self._put({"type": "http.response.start", "status": status, "headers": headers})

    def takes_whole(self) -> bool:
        """The server writes the head."""
        return False

    def whole(self, answer: bytes) -> None:
        """Never called."""
        raise NotImplementedError

    def data(self, chunk: bytes) -> None:
        """Queue body bytes."""
        self._buffered += len(chunk)
        if self._buffered > HIGH_WATER and not self._paused:
            self._paused = True
            self._exchange.pause_upstream()
        self._put({"type": "http.response.body", "body": chunk, "more_body": True})

    def end(self) -> None:
        """Mark the last queued body message as last, or queue an empty one."""
        self._ended = True
        last = self._outbox[-1] if self._outbox else None
        if last is not None and last["type"] == "http.response.body":
            last["more_body"] = False
            self._wake.set()
        else:
            self._put({"type": "http.response.body", "body": b"", "more_body": False})

    def abort(self) -> None:
        """What is queued goes out, then the connection ends without the answer's end."""
        self._ended = True
        self._put({"type": "paid_endpoint.cut"})

    def want_body(self) -> None:
        """Let `_read` receive."""
        self._body_flows.set()

    def pause_body(self) -> None:
        """Stop reading from the client. Our own server is told, so that `_read` still learns when the client leaves;
        a foreign one stops by itself once its small buffer is full.
        """
        if self._client is not None:
            self._client.pause_body()
        else:
            self._body_flows.clear()

    def resume_body(self) -> None:
        """Go on."""
        if self._client is not None:
            self._client.resume_body()
        else:
            self._body_flows.set()

    def tunnel(self, head: bytes, upstream: UpstreamTunnel) -> bool:
        """Only our own server can."""
        if self._client is None or not self._client.tunnel(head, upstream):
            return False
        self._tunneled = self._ended = True
        self._wake.set()
        return True

    def _put(self, message: Message) -> None:
        self._outbox.append(message)
        self._wake.set()
