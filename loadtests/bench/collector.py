"""A collector that takes every batch of spans and keeps nothing, on a thread of the bench: spans must go somewhere."""

import asyncio
import threading
from types import TracebackType
from typing import Self

_TAKEN = b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n"


class Collector:
    """`with Collector() as collector:` listens on `collector.port`; `taken` counts bytes."""

    def __init__(self) -> None:
        self.port = self.taken = 0
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)

    @property
    def url(self) -> str:
        """What OTEL_EXPORTER_OTLP_ENDPOINT takes."""
        return f"http://127.0.0.1:{self.port}"

    def __enter__(self) -> Self:
        self._thread.start()
        server = asyncio.run_coroutine_threadsafe(
            asyncio.start_server(self._serve, "127.0.0.1", 0, limit=1 << 24), self._loop
        ).result(10)
        self.port = server.sockets[0].getsockname()[1]
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(10)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while True:
                head = (await reader.readuntil(b"\r\n\r\n")).lower()
                length = int(head.partition(b"content-length:")[2].partition(b"\r")[0])
                self.taken += len(await reader.readexactly(length))
                writer.write(_TAKEN)
        except (asyncio.IncompleteReadError, ConnectionError):
            pass
        finally:
            writer.close()
