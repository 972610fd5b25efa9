"""Memory that strangers decide on: stalled connections hold little each, however much is to be sent."""

import asyncio
import contextlib
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.gateways import RunningGateway, connected, make_service, running_gateway
from tests.integration.gateway.conftest import World
from tests.wire.raw_client import RawClient

READERS = 150
MOST_BYTES_EACH = 200_000
"""One read that waits to be written, one that is being written, and the bookkeeping of both connections."""


@pytest.fixture
async def endless_port() -> AsyncIterator[int]:
    """An upstream that sends as much as it is let."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(OSError, asyncio.IncompleteReadError, asyncio.CancelledError):
            await reader.readuntil(b"\r\n\r\n")
            writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 500000000\r\n\r\n")
            while True:
                writer.write(b"z" * 262_144)
                await writer.drain()
        writer.transport.abort()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    yield server.sockets[0].getsockname()[1]
    server.close()


def resident_bytes(gateway: RunningGateway) -> int:
    """Of the gateway's only worker."""
    children = Path(f"/proc/{gateway.pid}/task/{gateway.pid}/children").read_text().split()
    return sum(int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * 4_096 for pid in children)


async def test_readers_that_stop_hold_little_memory_each(world: World, endless_port: int) -> None:
    async with connected(world.database_url) as connection:
        await make_service(connection, "endless", "/endless", endless_port)
    async with running_gateway(world.database_url, world.redis_url) as gateway:
        await gateway.ask(gateway.request("/proxy/hostile-warm", world.tenant.key))
        before = resident_bytes(gateway)
        clients = []
        for _ in range(READERS):
            clients.append(client := await RawClient.connect(gateway.address, receive_buffer=4_096))
            await client.send(gateway.request("/endless", world.tenant.key))
            assert await client.until(lambda client=client: bool(client.received), 10)
            client.stop_reading()
        deadline = asyncio.get_running_loop().time() + 2.0
        while asyncio.get_running_loop().time() < deadline:
            assert resident_bytes(gateway) - before < READERS * MOST_BYTES_EACH
            await asyncio.sleep(0.1)
        for client in clients:
            await client.reset()
