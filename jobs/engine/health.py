"""GET /health and /ready of a worker process, for supervisors and orchestrators; nothing else is served."""

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator

from domain.job_settings import JobSettings

_LONGEST_HEAD = 8_192
_SECONDS = 5.0


class Health:
    """Which servers answer at this moment."""

    def __init__(self) -> None:
        self._servers = {"redis": False, "database": False}

    def tell(self, *, redis: bool, database: bool) -> None:
        """As it was seen last."""
        self._servers = {"redis": redis, "database": database}

    def answer(self, path: str) -> tuple[int, dict[str, object]]:
        """Status and body: /health says that the process lives, /ready that it can run jobs."""
        if path == "/health":
            return 200, {"status": "ok"}
        if path == "/ready":
            ready = all(self._servers.values())
            return (200 if ready else 503), {"status": "ready" if ready else "waiting", **self._servers}
        return 404, {"status": "not found"}


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
                status, body = health.answer(target[0].decode("latin-1") if target else "")
                text = json.dumps(body).encode()
                writer.write(
                    b"HTTP/1.1 %d %s\r\nContent-Type: application/json\r\nContent-Length: %d\r\nConnection: close\r\n\r\n%b"
                    % (status, b"OK" if status == 200 else b"Not OK", len(text), text)
                )
                await writer.drain()
        writer.close()

    server = await asyncio.start_server(answer, settings.host, settings.port, limit=_LONGEST_HEAD)
    try:
        yield
    finally:
        server.close()
