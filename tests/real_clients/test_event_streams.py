"""Server-sent events: they arrive as they were sent, and a reader who leaves stops the upstream."""

import asyncio
import json
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from loadtests.processes import free_port
from loadtests.raw_client import Connection, once
from loadtests.upstream import start_upstream
from tests.real_clients.front import Front, Target

SPACING_MS, EVENTS, STREAMS = 20, 150, 3
DELAY_SECONDS = 0.05
GONE_SECONDS = 1.0


@pytest.fixture(scope="module")
def upstream_port(tmp_path_factory: pytest.TempPathFactory) -> Iterator[int]:
    """The stub upstream as a process of its own, so that its clock is not held up by the test's."""
    port = free_port()
    with start_upstream(Path(tmp_path_factory.mktemp("upstream")), port):
        yield port


async def delays(target: Target, count: int) -> list[float]:
    """Seconds from the sending of each event to its arrival here; one event per read, or the test fails."""
    arrived, held, last = [], b"", b""
    async with Connection(target.address, target.key) as connection:
        answer = await connection.send(
            f"/events?count={count}&ms={SPACING_MS}", headers="Accept: text/event-stream\r\n"
        )
        assert answer.status == 200
        assert answer.header("content-type") == "text/event-stream"
        async for part in connection.body(answer):
            now = time.monotonic_ns()
            held += part
            while b"\n\n" in held:
                event, _, held = held.partition(b"\n\n")
                last = event.partition(b"data: ")[2]
                if last != b"end":
                    arrived.append((now - int(last)) / 1e9)
    assert last == b"end"
    assert len(arrived) == count
    return arrived


async def streams(port: int) -> dict[str, int]:
    """What the upstream says of its event streams, asked directly."""
    return json.loads((await once(Target(f"http://127.0.0.1:{port}").address, "", "/streams")).body)


async def test_every_event_arrives_when_it_was_sent(front: Front, upstream_port: int) -> None:
    target = await front.behind(upstream_port)
    # A gateway that holds events back does so in every stream; a machine that stands still does not, hence three.
    late: list[float] = []
    for _ in range(STREAMS):
        late = [delay for delay in await delays(target, EVENTS) if delay >= DELAY_SECONDS]
        if not late:
            break
    assert not late, f"{len(late)} of {EVENTS} events were late in each of {STREAMS} streams: {sorted(late)[-5:]}"


async def test_sixteen_streams_at_once_are_not_merged(front: Front, upstream_port: int) -> None:
    target = await front.behind(upstream_port)
    found = sorted(
        delay for stream in await asyncio.gather(*(delays(target, 50) for _ in range(16))) for delay in stream
    )
    assert found[len(found) // 2] < DELAY_SECONDS


async def test_a_reader_who_leaves_cancels_the_upstream_within_a_second(front: Front, upstream_port: int) -> None:
    target = await front.behind(upstream_port)
    before = await streams(upstream_port)
    async with Connection(target.address, target.key) as connection:
        answer = await connection.send(f"/events?count=100000&ms={SPACING_MS}")
        await anext(connection.body(answer))
        assert (await streams(upstream_port))["open"] == before["open"] + 1
    left = time.monotonic()
    while (await streams(upstream_port))["left"] == before["left"]:
        assert time.monotonic() - left < GONE_SECONDS, "the upstream still sends to nobody"
        await asyncio.sleep(0.01)


async def test_a_client_that_leaves_before_the_answer_cancels_the_upstream(front: Front) -> None:
    gone = asyncio.Event()

    async def never_answers(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = await reader.readuntil(b"\r\n\r\n")
        if b"/silent" not in head:
            writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")
        else:
            asked.set()
            await reader.read()
            gone.set()
        writer.close()

    asked = asyncio.Event()
    async with await asyncio.start_server(never_answers, "127.0.0.1", 0) as server:
        target = await front.behind(server.sockets[0].getsockname()[1])
        request = f"GET {target.address.prefix}/silent HTTP/1.1\r\nHost: x\r\nX-API-Key: {target.key}\r\n\r\n"
        async with Connection(target.address, target.key) as connection, asyncio.timeout(5):
            connection.writer.write(request.encode())
            await asked.wait()
        async with asyncio.timeout(GONE_SECONDS):
            await gone.wait()
