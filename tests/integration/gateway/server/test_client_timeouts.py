"""A client that is slow, silent or gone is let go at its deadline; the worker's other clients notice nothing."""

import asyncio
import time
from pathlib import Path

from tests.wire.raw_client import RawClient

TICK = 0.75
"""The reaper's step, and what a busy machine adds."""


async def timed_end(client: RawClient, seconds: float = 6.0) -> float:
    begun = time.monotonic()
    assert await client.ended(seconds), "not closed"
    return time.monotonic() - begun


async def test_a_silent_new_connection_is_closed_without_an_answer(served):
    async with await RawClient.connect(served.address) as client:
        assert 0.7 < await timed_end(client) < 1 + TICK * 2
        assert not client.received


async def test_half_a_head_gets_408(served):
    async with await RawClient.connect(served.address) as client:
        await client.send(b"GET /x HTTP/1.1\r\nHost: x\r\nX-A")
        assert 0.7 < await timed_end(client) < 1 + TICK * 2
        assert [answer.status for answer in client.transcript().final] == [408]


async def test_drips_do_not_extend_the_time_for_a_head(served):
    async with await RawClient.connect(served.address) as client:
        begun = time.monotonic()
        await client.send(b"GET /x HTTP/1.1\r\nHost: x\r\nX-A: ")
        while client.end is None and time.monotonic() - begun < 4:
            await client.send(b"a")
            await client.until(lambda: False, 0.1)
        assert time.monotonic() - begun < 1 + TICK * 2
        assert client.transcript().final[0].status == 408


async def test_a_body_that_stops_gets_408_and_the_application_is_told(served):
    for framing in (b"Content-Length: 10\r\n\r\nAB", b"Transfer-Encoding: chunked\r\n\r\n2\r\nAB\r\n"):
        before, deadline = served.said("the client left"), time.monotonic() + 3
        async with await RawClient.connect(served.address) as client:
            await client.send(b"POST /x HTTP/1.1\r\nHost: x\r\n" + framing)
            assert 0.7 < await timed_end(client) < 1 + TICK * 2
            assert [answer.status for answer in client.transcript().final] == [408]
        while served.said("the client left") == before:
            assert time.monotonic() < deadline
            await asyncio.sleep(0.02)


async def test_a_body_that_keeps_moving_may_take_longer(served):
    async with await RawClient.connect(served.address) as client:
        await client.send(b"POST /x HTTP/1.1\r\nHost: x\r\nContent-Length: 6\r\n\r\n")
        for _ in range(6):
            await client.until(lambda: False, 0.4)
            await client.send(b"a")
        assert (await client.answers(1)).final[0].status == 200


async def test_an_idle_kept_connection_is_closed(served):
    async with await RawClient.connect(served.address) as client:
        await client.send(served.get(b"/x"))
        await client.answers(1)
        assert 1.7 < await timed_end(client) < 2 + TICK * 2
        assert len(client.transcript().final) == 1


async def test_a_reader_that_takes_nothing_is_cut(served):
    async with await RawClient.connect(served.address, receive_buffer=4096) as client:
        client.stop_reading()
        await client.send(served.get(b"/stream?n=4000&size=65536"))
        # The application ends once the connection is cut: its task is the only one that can hold this connection.
        deadline = time.monotonic() + 10
        while connections(served) > 0 and time.monotonic() < deadline:
            await asyncio.sleep(0.1)
        assert connections(served) == 0


def connections(served) -> int:
    """Established connections of the worker, as the kernel has them."""
    port = f":{served.address[1]:04X}"
    rows = [line.split() for line in Path("/proc/net/tcp").read_text().splitlines()][1:]
    return sum(row[1].endswith(port) and row[3] == "01" for row in rows)


async def test_a_client_that_left_is_noticed_within_a_second(served):
    before = served.said("the client left its stream")
    async with await RawClient.connect(served.address) as client:
        await client.send(served.get(b"/watch"))
        await client.until(lambda: False, 0.2)
    begun = time.monotonic()
    while served.said("the client left its stream") == before:
        assert time.monotonic() - begun < 1.0
        await asyncio.sleep(0.02)


async def test_a_client_that_only_half_closed_still_gets_its_answer(served):
    async with await RawClient.connect(served.address) as client:
        await client.send(served.get(b"/stream?n=2&pause=0.05"))
        client.half_close()
        await client.ended()
        assert client.transcript().final[0].whole


async def test_too_many_connections_get_503(served):
    clients = [await RawClient.connect(served.address) for _ in range(50)]
    try:
        for client in clients:
            await client.send(served.get(b"/x"))
            await client.answers(1)
        async with await RawClient.connect(served.address) as late:
            assert await late.ended()
            refused = late.transcript().final[0]
            assert refused.status == 503
            assert refused.closes
            assert refused.first("retry-after")
    finally:
        for client in clients:
            await client.close()
