"""A client that breaks off while the gateway does not read from it is noticed all the same: the upstream is cancelled.

A client that closes in order with bytes in its send buffer can't be: its end waits behind them for a window. There the
upstream's deadlines end the exchange.
"""

import asyncio
import contextlib
import select
from collections.abc import AsyncIterator

import pytest

from tests.gateways import RunningGateway, connected, make_service
from tests.integration.gateway.conftest import World
from tests.wire.raw_client import RawClient
from tests.wire.upstream import reached

GONE = select.POLLRDHUP | select.POLLHUP | select.POLLERR


class DeafUpstream:
    """Reads a head, then nothing; `left` tells without reading whether the other side ended the connection."""

    def __init__(self) -> None:
        self.port = 0
        self.writer: asyncio.StreamWriter | None = None

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.transport.pause_reading()  # type: ignore[attr-defined]
        self.writer = writer

    def left(self) -> bool:
        if self.writer is None:
            return False
        poll = select.poll()
        poll.register(self.writer.get_extra_info("socket").fileno(), GONE)
        return bool(poll.poll(0))

    def forget(self) -> None:
        if self.writer is not None:
            self.writer.transport.abort()
            self.writer = None


@pytest.fixture
async def deaf(gateway: RunningGateway, world: World) -> AsyncIterator[DeafUpstream]:
    upstream = DeafUpstream()
    server = await asyncio.start_server(upstream._serve, "127.0.0.1", 0)
    upstream.port = server.sockets[0].getsockname()[1]
    async with connected(world.database_url) as connection:
        slug = f"deaf-{upstream.port}"
        await make_service(connection, slug, f"/{slug}", upstream.port)
    await gateway.serves(f"/{slug}")
    yield upstream
    upstream.forget()
    server.close()


@pytest.mark.parametrize("framing", ["Content-Length: 500000000", "Transfer-Encoding: chunked"])
async def test_leaving_a_stalled_upload_cancels_the_upstream(
    gateway: RunningGateway, world: World, deaf: DeafUpstream, framing: str
) -> None:
    async with await RawClient.connect(gateway.address) as client:
        await client.send(gateway.request(f"/deaf-{deaf.port}", world.tenant.key, framing, method="POST"))
        await client.send(b"1DCD6500\r\n" if "chunked" in framing else b"")
        while await client.send(b"y" * 1_000_000, 0.5):
            continue
        assert not deaf.left()
        await client.reset()
        assert await reached(deaf.left, 1.0)


async def test_leaving_with_much_pipelined_cancels_the_upstream(
    gateway: RunningGateway, world: World, deaf: DeafUpstream
) -> None:
    request = gateway.request(f"/deaf-{deaf.port}", world.tenant.key)
    async with await RawClient.connect(gateway.address) as client:
        with contextlib.suppress(OSError):
            while await client.send(request * 1_000, 0.5):
                continue
        assert deaf.writer is not None
        assert not deaf.left()
        await client.reset()
        assert await reached(deaf.left, 1.0)
