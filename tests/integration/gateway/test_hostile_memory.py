"""Memory that strangers decide on: stalled connections hold little each, however much is to be sent."""

import asyncio
import contextlib
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from domain.journal.reading import JournalFolder
from domain.journal.records import END
from loadtests import processes
from tests.gateways import RunningGateway, connected, make_service, running_gateway
from tests.integration.gateway.conftest import World
from tests.wire.raw_client import RawClient
from tests.wire.upstream import Script, reached

READERS, UNREAD = 150, 700
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
    return sum(processes.resident_bytes(pid) for pid in processes.children(gateway.pid))


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


async def test_a_client_that_takes_no_answer_gets_no_further_ones(world: World) -> None:
    """Each request comes when the one before was answered, so that none is pipelined; each answer comes in one piece."""
    length = 12_000
    world.upstream.script(
        "/hostile-unread", Script(b"HTTP/1.1 200 OK\r\nContent-Length: 12000\r\n\r\n" + b"y" * length)
    )
    async with running_gateway(world.database_url, world.redis_url) as gateway:
        raw = gateway.request("/proxy/hostile-unread", world.tenant.key)
        await gateway.ask(raw)
        mark, answered = world.upstream.mark(), 1
        client = await RawClient.connect(gateway.address, receive_buffer=4_096)
        client.stop_reading()
        while answered <= UNREAD and await served(gateway, answered):
            answered += 1
            await client.send(raw)
        assert len(world.upstream.since(mark)) < UNREAD
        client.go_on_reading()
        assert await reached(lambda: len(client.received) >= (answered - 1) * length, 20)
        assert {answer.status for answer in client.transcript().final} == {200}
        await client.close()
        assert "Traceback" not in gateway.log


async def served(gateway: RunningGateway, number: int) -> bool:
    """Whether the gateway's only worker records so many requests before long."""
    journal = next((Path(gateway.environment["GATEWAY_STATE_DIR"]) / "journal").glob("?" * 32))
    deadline = asyncio.get_running_loop().time() + 1.0
    while asyncio.get_running_loop().time() < deadline:
        if sum(kind == END for _, _, kind, _ in JournalFolder(journal).read_from(0, 0)) >= number:
            return True
        await asyncio.sleep(0.001)
    return False
