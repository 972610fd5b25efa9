"""Bodies far larger than memory should hold: they stream, and the worker's memory does not notice.

300 MB each way; with PE_FULL=1 in the environment the 2 GB that the product promises.
"""

import asyncio
import os
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from loadtests.processes import free_port, resident_bytes
from loadtests.raw_client import CHUNK, Connection
from loadtests.upstream import BLOCK, start_upstream
from tests.real_clients.front import Front

SIZE = 2 << 30 if os.environ.get("PE_FULL") == "1" else 300_000_000
FLAT_BYTES = 20_000_000
SECONDS = 110.0
pytestmark = [pytest.mark.slow, pytest.mark.timeout(150)]


@pytest.fixture(scope="module")
def upstream_port(tmp_path_factory: pytest.TempPathFactory) -> Iterator[int]:
    """The stub upstream as a process of its own."""
    port = free_port()
    with start_upstream(Path(tmp_path_factory.mktemp("upstream")), port):
        yield port


@asynccontextmanager
async def flat_memory(front: Front) -> AsyncIterator[None]:
    """Fails if the worker's resident memory grows by more than FLAT_BYTES at any moment within the block."""
    pid = front.worker_pid()
    before = peak = resident_bytes(pid)

    async def watch() -> None:
        nonlocal peak
        while True:
            peak = max(peak, resident_bytes(pid))
            await asyncio.sleep(0.02)

    watcher = asyncio.create_task(watch())
    try:
        async with asyncio.timeout(SECONDS):
            yield
    finally:
        watcher.cancel()
    grown = peak - before
    assert grown < FLAT_BYTES, f"the worker grew by {grown / 1e6:.1f} MB"


@asynccontextmanager
async def warm(front: Front, port: int) -> AsyncIterator[Connection]:
    """A connection through the gateway whose first exchange is over, so that lazy imports and pools are there."""
    target = await front.behind(port)
    async with Connection(target.address, target.key) as connection:
        assert len((await connection.request("/bytes?count=5000000")).body) == 5_000_000
        assert (await connection.request("/bytes", "POST", body=BLOCK * 50)).status == 200
        yield connection


@pytest.mark.parametrize("framing", ["", "&chunked=1"], ids=["with length", "chunked"])
async def test_a_download_streams(front: Front, upstream_port: int, framing: str) -> None:
    async with warm(front, upstream_port) as connection, flat_memory(front):
        answer = await connection.send(f"/bytes?count={SIZE}{framing}")
        assert answer.status == 200
        assert answer.header("content-length") == (None if framing else str(SIZE))
        count = 0
        async for part in connection.body(answer):
            count += len(part)
            assert part[:1] != b"" and part[-1] == (count - 1) % 256
    assert count == SIZE


@pytest.mark.parametrize("chunked", [False, True], ids=["with length", "chunked"])
async def test_an_upload_streams(front: Front, upstream_port: int, chunked: bool) -> None:
    framing = "Transfer-Encoding: chunked" if chunked else f"Content-Length: {SIZE}"
    async with warm(front, upstream_port) as connection, flat_memory(front):
        connection.writer.write(
            f"POST {connection.address.prefix}/bytes HTTP/1.1\r\nHost: localhost\r\n"
            f"X-API-Key: {connection.key}\r\n{framing}\r\n\r\n".encode()
        )
        for start in range(0, SIZE, CHUNK):
            part = BLOCK[: min(CHUNK, SIZE - start)]
            connection.writer.writelines([b"%x\r\n" % len(part), part, b"\r\n"] if chunked else [part])
            await connection.writer.drain()
        connection.writer.write(b"0\r\n\r\n" if chunked else b"")
        answer = await connection.read_answer()
    assert answer.body == b'{"received":%d}' % SIZE


async def test_a_reader_that_stops_holds_the_upstream_and_not_the_worker(front: Front, upstream_port: int) -> None:
    async with warm(front, upstream_port) as connection, flat_memory(front):
        answer = await connection.send(f"/bytes?count={SIZE}")
        connection.writer.transport.pause_reading()
        await asyncio.sleep(2)  # this is the reader's pause, not a wait for something
        connection.writer.transport.resume_reading()
        assert sum([len(part) async for part in connection.body(answer)]) == SIZE
