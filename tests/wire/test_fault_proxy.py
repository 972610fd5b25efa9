"""The fault proxy does what it says, and nothing else."""

import asyncio
import time
from collections.abc import AsyncIterator

import pytest

from tests.wire.fault_proxy import FaultProxy
from tests.wire.raw_client import RawClient
from tests.wire.upstream import RecordingUpstream, reached

ASK = b"GET /x HTTP/1.1\r\nHost: a\r\n\r\n"


@pytest.fixture
async def upstream() -> AsyncIterator[RecordingUpstream]:
    started = RecordingUpstream().start()
    yield started
    started.stop()


@pytest.fixture
async def proxy(upstream: RecordingUpstream) -> AsyncIterator[FaultProxy]:
    async with FaultProxy(("127.0.0.1", upstream.port)) as started:
        yield started


async def test_passes_everything_without_a_fault(proxy: FaultProxy) -> None:
    async with await RawClient.connect(proxy.address) as client:
        await client.send(ASK)
        answer = (await client.answers(1)).final[0]
    assert (answer.status, answer.body) == (200, b"answer 1 to /x\n")


async def test_delay(proxy: FaultProxy) -> None:
    proxy.to_client.delay = 0.2
    async with await RawClient.connect(proxy.address) as client:
        begun = time.monotonic()
        await client.send(ASK)
        assert (await client.answers(1)).final[0].whole
    assert time.monotonic() - begun >= 0.2


async def test_rate_cap(proxy: FaultProxy) -> None:
    proxy.to_client.bytes_per_second = 400
    async with await RawClient.connect(proxy.address) as client:
        begun = time.monotonic()
        await client.send(ASK)
        assert (await client.answers(1)).final[0].whole
    assert time.monotonic() - begun >= 0.2


async def test_hold_and_release(proxy: FaultProxy, upstream: RecordingUpstream) -> None:
    proxy.to_server.hold()
    async with await RawClient.connect(proxy.address) as client:
        await client.send(ASK)
        assert not (await client.answers(1, 0.2)).final
        assert upstream.records == []
        proxy.to_server.release()
        assert (await client.answers(1)).final[0].status == 200


@pytest.mark.parametrize(("how", "end"), [("close", "eof"), ("reset", "reset"), ("hang", None)])
async def test_cut_after_some_bytes(proxy: FaultProxy, how: str, end: str | None) -> None:
    proxy.to_client.cut_after(20, how)
    async with await RawClient.connect(proxy.address) as client:
        await client.send(ASK)
        await client.ended(0.3 if end is None else 5.0)
        assert client.end == end
        assert bytes(client.received) in {b"HTTP/1.1 200 OK\r\nCon", b""}
        if how == "hang":
            assert client.received


async def test_corrupts_one_byte(proxy: FaultProxy, upstream: RecordingUpstream) -> None:
    proxy.to_server.corrupt_at(5)
    async with await RawClient.connect(proxy.address) as client:
        await client.send(ASK)
        await client.answers(1)
    assert upstream.records[0].target == "/y"


async def test_reset_all(proxy: FaultProxy, upstream: RecordingUpstream) -> None:
    async with await RawClient.connect(proxy.address) as client:
        await client.send(ASK)
        await client.answers(1)
        assert proxy.open_connections == 1
        proxy.reset_all()
        await client.ended()
        assert client.end == "reset"
    assert await reached(lambda: proxy.open_connections == 0 and upstream.open_connections == 0, 5)


async def test_refuses_new_connections(proxy: FaultProxy) -> None:
    proxy.refuse = True
    async with await RawClient.connect(proxy.address) as client:
        await client.ended()
        assert client.end == "reset"


async def test_a_half_close_passes_through() -> None:
    finished = asyncio.Event()

    async def count(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        data = await reader.read()
        writer.write(b"%d" % len(data))
        writer.close()
        finished.set()

    server = await asyncio.start_server(count, "127.0.0.1", 0)
    async with (
        server,
        FaultProxy(server.sockets[0].getsockname()[:2]) as proxy,
        await RawClient.connect(proxy.address) as client,
    ):
        await client.send(b"z" * 100_000)
        client.half_close()
        await client.ended()
        assert bytes(client.received) == b"100000"
