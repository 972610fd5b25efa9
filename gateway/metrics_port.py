"""GET /metrics on a port of its own, on loopback unless told otherwise: never on the port that the world reaches.

Every worker listens with SO_REUSEPORT and answers for all of them, so it does not matter which one a scrape meets.
"""

import asyncio
import logging
import socket

from gateway.metrics import SharedCounts, exposition

logger = logging.getLogger("paid_endpoint.gateway")

_HEAD_BYTES = 8_192
_SECONDS = 2.0


class MetricsPort:
    """Listens while it is started; port 0 turns it off. A port that is taken is logged, not fatal."""

    def __init__(self, host: str, port: int, shared: SharedCounts) -> None:
        self._host, self._port, self._shared = host, port, shared
        self._server: asyncio.Server | None = None

    async def start(self) -> None:
        """Begin to listen."""
        if not self._port:
            return
        family = socket.AF_INET6 if ":" in self._host else socket.AF_INET
        listener = socket.socket(family, socket.SOCK_STREAM)
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        try:
            listener.bind((self._host, self._port))
        except OSError as fault:
            listener.close()
            logger.warning("metrics are off: %s:%d: %s", self._host, self._port, fault.strerror)
            return
        self._server = await asyncio.start_server(self._serve, sock=listener, limit=_HEAD_BYTES)

    async def stop(self) -> None:
        """Stop listening."""
        if self._server is not None:
            self._server.close()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            async with asyncio.timeout(_SECONDS):
                head = await reader.readuntil(b"\r\n\r\n")
            target = head.split(b" ", 2)[1] if head.startswith((b"GET ", b"HEAD ")) else b""
            status, body = (b"200 OK", exposition(self._shared)) if target == b"/metrics" else (b"404 Not Found", b"")
            writer.write(
                b"HTTP/1.1 %b\r\nContent-Type: text/plain; version=0.0.4; charset=utf-8\r\nContent-Length: %d\r\nConnection: close\r\n\r\n"
                % (status, len(body))
                + (body if head.startswith(b"GET ") else b"")
            )
            async with asyncio.timeout(_SECONDS):
                await writer.drain()
        except (TimeoutError, asyncio.IncompleteReadError, asyncio.LimitOverrunError, OSError):
            pass
        finally:
            writer.close()
