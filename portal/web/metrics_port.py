"""GET /metrics of a face on a port of its own, on loopback unless told otherwise: never on the port that the world reaches."""

import asyncio
import contextlib
import logging
from collections.abc import AsyncIterator

from prometheus_client import CollectorRegistry

from domain.databases import Pool
from domain.metrics import CONTENT_TYPE, exposition
from domain.portal_settings import Face
from portal.web.measures import Measures

log = logging.getLogger("paid_endpoint.portal")

_LONGEST_HEAD = 8_192
_SECONDS = 5.0


@contextlib.asynccontextmanager
async def serving_metrics(face: Face, measures: Measures, pool: Pool) -> AsyncIterator[None]:
    """Serve it for as long as the block lasts; not at all for port 0. A port that is taken is logged, not fatal."""
    if not face.metrics_port:
        yield
        return
    with measures.watching(pool):
        async with _served(face, measures.registry):
            yield


@contextlib.asynccontextmanager
async def _served(face: Face, registry: CollectorRegistry) -> AsyncIterator[None]:
    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(OSError, TimeoutError, asyncio.IncompleteReadError, asyncio.LimitOverrunError):
            async with asyncio.timeout(_SECONDS):
                head = await reader.readuntil(b"\r\n\r\n")
                found = head.startswith((b"GET /metrics ", b"HEAD /metrics "))
                body = exposition(registry) if found else b""
                writer.write(
                    b"HTTP/1.1 %b\r\nContent-Type: %b\r\nContent-Length: %d\r\nConnection: close\r\n\r\n%b"
                    % (
                        b"200 OK" if found else b"404 Not Found",
                        CONTENT_TYPE.encode(),
                        len(body),
                        body if head.startswith(b"GET ") else b"",
                    )
                )
                await writer.drain()
        writer.close()

    try:
        server = await asyncio.start_server(answer, face.metrics_host, face.metrics_port, limit=_LONGEST_HEAD)
    except OSError as fault:
        log.warning("metrics are off: %s:%d: %s", face.metrics_host, face.metrics_port, fault.strerror or fault)
        yield
        return
    try:
        yield
    finally:
        server.close()
