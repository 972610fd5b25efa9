"""What one warm exchange of the upstream pool costs: `python -m loadtests.upstream_exchange [seconds]`.

A raw upstream in a process of its own answers every read with the same 200 bytes of JSON; 64 exchanges are in flight.
The figure that counts is the processor time of this process per exchange: system calls and event loop included.
"""

# ruff: noqa: D102 - what the methods are for is said where their protocols are

import asyncio
import multiprocessing
import sys
import time
from typing import Any

import uvloop

from domain.settings import UpstreamSettings
from domain.snapshots import UpstreamSnapshot
from gateway.ends import AnswerHead, Deadlines, Headers, UpstreamFailure, UpstreamRequest, UpstreamTunnel
from gateway.upstream.pool import UpstreamPool
from gateway.upstream.request_head import request_head

IN_FLIGHT = 64
DEADLINES = Deadlines(connect=5, first_byte=30, idle=60, total=0)
BODY = b'{"id": 1, "text": "%b"}' % (b"a" * 178)
ANSWER = (
    b"HTTP/1.1 200 OK\r\ndate: Fri, 20 Nov 2026 10:10:10 GMT\r\nserver: raw\r\ncontent-type: application/json\r\n"
    b"content-length: %d\r\n\r\n%b" % (len(BODY), BODY)
)
HEADERS: Headers = [
    (b"host", b"127.0.0.1:8000"),
    (b"accept", b"*/*"),
    (b"user-agent", b"wrk"),
    (b"via", b"1.1 paid-endpoint"),
    (b"forwarded", b"for=127.0.0.1;proto=http"),
    (b"x-forwarded-for", b"127.0.0.1"),
    (b"x-forwarded-proto", b"http"),
    (b"traceparent", b"00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"),
    (b"x-request-id", b"01939a70-0000-7000-8000-000000000000"),
    (b"x-pe-organization", b"acme"),
    (b"x-pe-key-id", b"01939a70-0000-7000-8000-000000000001"),
    (b"x-pe-plan", b"pro"),
]
HEAD = request_head(UpstreamRequest(b"GET", b"/items/17?page=2", HEADERS))


class RawUpstream(asyncio.Protocol):
    """Answers each read."""

    def connection_made(self, transport: Any) -> None:
        self.transport = transport

    def data_received(self, _data: bytes) -> None:
        self.transport.write(ANSWER)


def serve(port: Any) -> None:
    """Run the raw upstream until the process ends."""

    async def run() -> None:
        server = await asyncio.get_running_loop().create_server(RawUpstream, "127.0.0.1", 0)
        port.send(server.sockets[0].getsockname()[1])
        await server.serve_forever()

    uvloop.run(run())


class Again:
    """A Reply that begins the next exchange when one ends."""

    __slots__ = ("_count", "_origin", "_pool", "stopped")

    def __init__(self, pool: UpstreamPool, origin: UpstreamSnapshot, count: list[int]) -> None:
        self._pool, self._origin, self._count = pool, origin, count
        self.stopped = False

    def begin(self) -> None:
        """Send one request."""
        request = UpstreamRequest(b"GET", b"/items/17?page=2", HEADERS, 0, b"", HEAD)
        self._pool.send(self._origin, request, self, DEADLINES, IN_FLIGHT)

    def reply_interim(self, status: int, headers: Headers) -> None: ...
    def reply_continue(self) -> None: ...
    def reply_head(self, status: int, headers: Headers, length: int | None) -> None: ...
    def reply_whole(self, _head: AnswerHead, _body: bytes) -> None:
        self.reply_end()

    def reply_data(self, chunk: bytes) -> None: ...
    def reply_trailer(self, name: bytes, value: bytes) -> None: ...
    def reply_tunnel(self, headers: Headers, tunnel: UpstreamTunnel) -> None: ...
    def upstream_pause(self) -> None: ...
    def upstream_resume(self) -> None: ...
    def reply_failed(self, failure: UpstreamFailure) -> None:
        raise SystemExit(f"failed: {failure}")

    def reply_end(self) -> None:
        self._count[0] += 1
        if not self.stopped:
            self.begin()


async def measure(port: int, seconds: float) -> None:
    """Print exchanges per second and processor time of this process per exchange."""
    origin = UpstreamSnapshot("", "http", "127.0.0.1", port, b"", b"", tls_verify=True)
    pool = UpstreamPool(UpstreamSettings())
    count = [0]
    replies = [Again(pool, origin, count) for _ in range(IN_FLIGHT)]
    for reply in replies:
        reply.begin()
    await asyncio.sleep(0.5)
    for _ in range(3):
        before, began, used = count[0], time.perf_counter(), time.process_time()
        await asyncio.sleep(seconds)
        done = count[0] - before
        print(
            f"{done / (time.perf_counter() - began):8.0f} exchanges/s   "
            f"{(time.process_time() - used) / done * 1e6:6.1f} us of processor time each"
        )
    for reply in replies:
        reply.stopped = True
    await pool.close(2)


def main() -> None:
    """Start the upstream, measure, stop it."""
    ours, theirs = multiprocessing.Pipe()
    upstream = multiprocessing.get_context("spawn").Process(target=serve, args=(theirs,), daemon=True)
    upstream.start()
    try:
        uvloop.run(measure(ours.recv(), float(sys.argv[1]) if len(sys.argv) > 1 else 3.0))
    finally:
        upstream.terminate()


if __name__ == "__main__":
    main()
