"""A tunnel leaves one row, at its end, with what passed through it; and it ends when its upstream has."""

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator

import pytest

from gateway.upstream.websocket import accept_of
from tests.gateways import RunningGateway, connected, make_service
from tests.integration.gateway.conftest import World
from tests.wire.raw_client import RawClient

KEY = "dGhlIHNhbXBsZSBub25jZQ=="
HANDSHAKE = ("Connection: Upgrade", "Upgrade: websocket", "Sec-WebSocket-Version: 13", f"Sec-WebSocket-Key: {KEY}")
SWITCHING = (
    b"HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
    b"Sec-WebSocket-Accept: " + accept_of(KEY.encode()) + b"\r\n\r\n"
)


@pytest.fixture
async def prefix(gateway: RunningGateway, world: World) -> AsyncIterator[str]:
    """A service whose upstream echoes, or, asked for /over, closes at once."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(OSError, asyncio.IncompleteReadError):
            head = await reader.readuntil(b"\r\n\r\n")
            writer.write(SWITCHING)
            while b"/over" not in head and (data := await reader.read(65_536)):
                writer.write(data)
                await writer.drain()
        writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    slug = f"echo-{server.sockets[0].getsockname()[1]}"
    async with connected(world.database_url) as connection:
        await make_service(connection, slug, f"/{slug}", server.sockets[0].getsockname()[1])
    await gateway.serves(f"/{slug}")
    yield f"/{slug}"
    server.close()


async def test_a_tunnel_is_recorded_once_with_its_bytes(gateway: RunningGateway, world: World, prefix: str) -> None:
    async with await RawClient.connect(gateway.address) as client:
        await client.send(gateway.request(f"{prefix}/echo", world.tenant.key, *HANDSHAKE))
        assert await client.until(lambda: b"\r\n\r\n" in client.received, 20)
        await client.send(b"ping!")
        assert await client.until(lambda: client.received.endswith(b"ping!"), 20)
        client.half_close()
        assert await client.ended(5)
    query = "select outcome, status, bytes_in, bytes_out from request_log where path = $1"
    deadline = time.monotonic() + 20
    async with connected(world.database_url) as connection:
        while not (rows := await connection.fetch(query, f"{prefix}/echo")) and time.monotonic() < deadline:
            await asyncio.sleep(0.05)
    assert [tuple(row) for row in rows] == [("served", 101, 5, 5)]


async def test_talking_to_an_upstream_that_ended_does_not_keep_a_tunnel(
    gateway: RunningGateway, world: World, prefix: str
) -> None:
    async with await RawClient.connect(gateway.address) as client:
        await client.send(gateway.request(f"{prefix}/over", world.tenant.key, *HANDSHAKE))
        assert await client.ended(5)
        deadline = time.monotonic() + 6
        while await client.send(b"more"):
            assert time.monotonic() < deadline
            await asyncio.sleep(0.1)
