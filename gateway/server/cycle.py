"""One request as an ASGI task: what the parser delivers becomes events, what the application sends an `Answer`."""

import asyncio
import logging
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote

from domain.refusals import InternalFault, Refusal
from domain.request_ids import new_request_id
from gateway.server.answer import Answer
from gateway.server.connection import ClientConnection
from gateway.server.guard import RequestHead
from gateway.server.refusing import answer_refusal

if TYPE_CHECKING:
    from gateway.server.protocol import GatewayProtocol

Message = dict[str, Any]
Application = Callable[[dict[str, Any], Callable[[], Awaitable[Message]], Callable[[Message], Awaitable[None]]], Any]

HIGH_WATER = 65_536
log = logging.getLogger("gateway.server")


class Cycle:
    """One request and its answer, for one ASGI application. The protocol calls `body`, `body_end`, `gone`."""

    __slots__ = (
        "_body", "_delivered", "_full", "_more", "_receivers", "_senders", "answer", "client", "connection", "head",
        "is_gone", "tunneled",
    )  # fmt: skip

    def __init__(self, connection: "GatewayProtocol", head: RequestHead) -> None:
        self.connection, self.head = connection, head
        self.client = ClientConnection(self, head)
        self.answer = Answer(connection, head_only=head.method == b"HEAD", http10=head.version == "1.0")
        self._body: list[bytes] = []
        self._full = 0
        self._more = head.body != 0
        self._delivered = False
        self._receivers: list[asyncio.Future[None]] = []
        self._senders: list[asyncio.Future[None]] = []
        self.is_gone = self.tunneled = False

    # -- from the protocol

    def start(self) -> None:
        """Run the application in a task."""
        task = self.connection.loop.create_task(self.run(self.connection.application))
        self.connection.state.tasks.add(task)
        task.add_done_callback(self.connection.state.tasks.discard)

    def body(self, data: bytes) -> None:
        """Body bytes came."""
        self._body.append(data)
        self._full += len(data)
        if self._full > HIGH_WATER:
            self.connection.hold_body()
        _wake(self._receivers)

    def body_end(self) -> None:
        """The body is whole."""
        self._more = False
        _wake(self._receivers)

    def gone(self) -> None:
        """The client left, or broke its request: nothing that is sent from now on arrives."""
        self.is_gone = self.answer.done = True
        _wake(self._receivers)
        self.writable()
        if self.client.on_gone is not None:
            self.client.on_gone()

    def finished(self) -> None:
        """The answer is whole: whoever waits for a disconnect gets it."""
        _wake(self._receivers)

    def choked(self) -> None:
        """The client takes no more: `send` looks by itself."""

    def writable(self) -> None:
        """The client takes bytes again."""
        _wake(self._senders)

    # -- the application's side

    async def run(self, application: Application) -> None:
        """Serve the request. A fault of the application becomes a 500 or a visible cut."""
        try:
            await application(self._scope(), self.receive, self.send)
        except Refusal as refusal:
            self._fail(refusal)
        except asyncio.CancelledError:
            self.answer.abort()
            raise
        except Exception as fault:
            request_id = str(new_request_id())
            if not (self.is_gone and isinstance(fault, OSError)):
                log.exception("the application failed on request %s", request_id)
            self._fail(InternalFault(), request_id)
        else:
            if not self.answer.done and not self.tunneled:
                log.error("the application returned without a whole answer")
                self._fail(InternalFault())

    def _fail(self, refusal: Refusal, request_id: str = "") -> None:
        if self.answer.begun or self.answer.done or self.tunneled:
            self.answer.abort()
        else:
            answer_refusal(refusal, self.answer, self.connection.state.date, request_id=request_id)

    async def receive(self) -> Message:
        """ASGI receive: `http.request` until the body is whole, then `http.disconnect` at the end of the answer or of
        the tunnel.
        """
        connection = self.connection
        if self._more and not self._body:
            connection.want_body()
        while not self.is_gone and (self.tunneled or not self.answer.done):
            if self._body or (not self._more and not self._delivered):
                chunks, self._body, self._full = self._body, [], 0
                self._delivered = not self._more
                connection.release_body()
                body = chunks[0] if len(chunks) == 1 else b"".join(chunks)
                return {"type": "http.request", "body": body, "more_body": self._more}
            await self._wait(self._receivers)
        return {"type": "http.disconnect"}

    async def send(self, message: Message) -> None:
        """ASGI send. After the client is gone, messages are dropped. Raises ValueError for an answer that is none."""
        await self._room()
        kind = message["type"]
        if kind == "http.response.start":
            self._begin(message)
        elif kind == "http.response.body":
            self.answer.data(message.get("body", b""))
            if message.get("more_body", False):
                # Before the application fetches more: what it holds meanwhile would double what waits for the client.
                await self._room()
            else:
                self.answer.end()
        else:
            raise ValueError(f"unexpected ASGI message {kind!r}")

    async def _room(self) -> None:
        while self.connection.write_paused and not self.is_gone:
            await self._wait(self._senders)

    def _begin(self, message: Message) -> None:
        headers, length, close = [], None, False
        for name, value in message.get("headers", ()):
            if name == b"content-length":
                length = int(value)
            elif name == b"connection":
                close = close or b"close" in value.lower()
            elif name != b"transfer-encoding":
                headers.append((name, value))
        self.answer.begin(message["status"], headers, length, close=close)

    async def _wait(self, waiters: list[asyncio.Future[None]]) -> None:
        # A future each: cancelling one of two tasks that wait must not wake the other.
        future: asyncio.Future[None] = self.connection.loop.create_future()
        waiters.append(future)
        await future

    def _scope(self) -> dict[str, Any]:
        head, connection = self.head, self.connection
        raw_path, _, query = head.target.partition(b"?")
        path = raw_path.decode("ascii")
        return {
            "type": "http",
            "asgi": {"version": "3.0", "spec_version": "2.3"},
            "http_version": head.version,
            "method": head.method.decode("ascii"),
            "scheme": connection.scheme,
            "path": unquote(path) if "%" in path else path,
            "raw_path": raw_path,
            "query_string": query,
            "root_path": "",
            "headers": head.headers,
            "client": connection.client,
            "server": connection.server,
            "state": connection.app_state.copy(),
            "extensions": {"paid_endpoint": self.client},
        }


def _wake(waiters: list[asyncio.Future[None]]) -> None:
    for future in waiters:
        if not future.done():
            future.set_result(None)
    waiters.clear()
