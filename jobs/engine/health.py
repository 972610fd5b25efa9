"""GET /health, /ready and /metrics of a worker process, for supervisors, orchestrators and Prometheus; nothing else."""

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator, Callable

from domain.job_settings import JobSettings
from domain.metrics import CONTENT_TYPE

_LONGEST_HEAD = 8_192
_SECONDS = 5.0


JSON = "application/json"
Answer = tuple[int, str, bytes]
"""Status, type and body."""


class Health:
    """Which servers answer at this moment, and what `metrics` says when it is asked."""

    def __init__(self, metrics: Callable[[], bytes]) -> None:
        self._metrics = metrics
        self._servers = {"redis": False, "database": False}

    def tell(self, *, redis: bool, database: bool) -> None:
        """As it was seen last."""
        self._servers = {"redis": redis, "database": database}

    def answer(self, path: str) -> Answer:
        """/health says that the process lives, /ready that it can run jobs, /metrics what it does."""
        if path == "/health":
            return _json(200, status="ok")
        if path == "/ready":
            ready = all(self._servers.values())
            return _json(200 if ready else 503, status="ready" if ready else "waiting", **self._servers)
        if path == "/metrics":
            return 200, CONTENT_TYPE, self._metrics()
        return _json(404, status="not found")


def _json(code: int, /, **body: object) -> Answer:
    return code, JSON, json.dumps(body).encode()


@contextlib.asynccontextmanager
async def serving(settings: JobSettings, health: Health) -> AsyncIterator[None]:
    """Serve on the host and port of the settings; not at all for port 0. Raises OSError if the port is taken."""
    if not settings.port:
        yield
        return

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(OSError, TimeoutError, asyncio.IncompleteReadError, asyncio.LimitOverrunError):
            async with asyncio.timeout(_SECONDS):
                head = await reader.readuntil(b"\r\n\r\n")
                target = head.split(b" ", 2)[1:2]
                status, kind, text = health.answer(target[0].decode("latin-1") if target else "")
                writer.write(
                    b"HTTP/1.1 %d %s\r\nContent-Type: %b\r\nContent-Length: %d\r\nConnection: close\r\n\r\n%b"
                    % (status, b"OK" if status == 200 else b"Not OK", kind.encode(), len(text), text)
                )
                await writer.drain()
        writer.close()

    server = await asyncio.start_server(answer, settings.host, settings.port, limit=_LONGEST_HEAD)
    try:
        yield
    finally:
        server.close()
