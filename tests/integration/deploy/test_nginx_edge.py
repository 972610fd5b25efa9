"""Our nginx.conf before a real gateway: whose address is believed, slow heads, streams, methods and paths as they were sent."""

import asyncio
import contextlib
import socket
import ssl
import subprocess
import time

import pytest

from tests.deploy import NGINX, nginx_configuration
from tests.gateways import connected, free_port, make_service, make_tenant, running_gateway
from tests.wire.upstream import RecordingUpstream, Script

pytestmark = [pytest.mark.skipif(not NGINX, reason="nginx is not here"), pytest.mark.slow]
CLIENT = "127.0.0.9"
"""Another address of this machine, so that the client is not the edge."""


class Edge:
    def __init__(self, port, plain, gateway, tenant, upstream):
        self.port, self.plain, self.gateway, self.tenant, self.upstream = port, plain, gateway, tenant, upstream

    def connect(self, name="api.example.com"):
        raw = socket.create_connection(("127.0.0.1", self.port), timeout=20, source_address=(CLIENT, 0))
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
        return context.wrap_socket(raw, server_hostname=name)

    def request(self, target, *lines, host="api.example.com"):
        head = [f"GET {target} HTTP/1.1", f"Host: {host}", f"X-API-Key: {self.tenant.key}", "Connection: close", *lines]
        return "\r\n".join([*head, "", ""]).encode()

    def ask(self, *arguments, **options):
        """The whole answer as bytes."""
        with self.connect() as client:
            client.sendall(self.request(*arguments, **options))
            return read_all(client)


def read_all(client):
    parts = []
    with contextlib.suppress(ssl.SSLError, ConnectionResetError):
        while part := client.recv(65_536):
            parts.append(part)
    return b"".join(parts)


@pytest.fixture(scope="module")
async def edge(database_url, redis_url, tmp_path_factory):
    tmp_path = tmp_path_factory.mktemp("edge")
    upstream = RecordingUpstream().start()
    async with connected(database_url) as connection:
        tenant = await make_tenant(connection, "behind-nginx")
        await make_service(connection, "behind-nginx", "/behind", upstream.port)
    settings = {"GATEWAY_TRUSTED_PROXIES": "127.0.0.1/32", "GATEWAY_ALLOWED_HOSTS": "api.example.com,127.0.0.1"}
    async with running_gateway(database_url, redis_url, **settings) as gateway:
        ports = {"tls": free_port(), "plain": free_port(), "gateway": gateway.address[1], "portal": free_port()}
        file = nginx_configuration(tmp_path, **ports)
        process = subprocess.Popen([NGINX, "-c", str(file), "-p", str(tmp_path)], stderr=subprocess.DEVNULL)
        try:
            made = Edge(ports["tls"], ports["plain"], gateway, tenant, upstream)
            deadline = time.monotonic() + 10
            while time.monotonic() < deadline:
                with contextlib.suppress(OSError):
                    made.connect().close()
                    break
                await asyncio.sleep(0.05)
            yield made
        finally:
            process.terminate()
            process.wait(10)
            upstream.stop()


async def test_the_address_is_the_clients_whatever_it_says_itself(edge, database_url):
    forged = ("X-Forwarded-For: 8.8.8.8", "Forwarded: for=9.9.9.9", "X-Forwarded-Proto: ftp")
    answer = await asyncio.to_thread(edge.ask, "/behind/a;v=1/b?x=%2f", *forged)
    assert answer.startswith(b"HTTP/1.1 200"), answer
    async with connected(database_url) as connection:
        for _ in range(100):
            row = await connection.fetchrow(
                "select host(client) as client, path, query from request_log where path like '/behind/a%'"
            )
            if row:
                break
            await asyncio.sleep(0.05)
    assert tuple(row) == (CLIENT, "/behind/a;v=1/b", "x=%2f")


async def test_a_slow_head_is_closed_by_the_edge_and_never_reaches_the_gateway(edge):
    def slow():
        with edge.connect() as client:
            client.sendall(b"GET /behind/slow HTTP/1.1\r\nHost: api.example.com\r\n")
            began = time.monotonic()
            read_all(client)
            return time.monotonic() - began

    assert 8 < await asyncio.to_thread(slow) < 15


async def test_a_stream_arrives_piece_by_piece(edge):
    head = b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n"
    edge.upstream.script(
        "/live", Script(head + b"9\r\ndata: 1\n\n\r\n", delay_ms=1_500, late=b"9\r\ndata: 2\n\n\r\n0\r\n\r\n")
    )

    def first_piece():
        with edge.connect() as client:
            began = time.monotonic()
            client.sendall(edge.request("/behind/live"))
            got = b""
            while b"data: 1" not in got:
                got += client.recv(65_536)
            first = time.monotonic() - began
            return first, got + read_all(client)

    first, whole = await asyncio.to_thread(first_piece)
    assert first < 1
    assert b"data: 2" in whole


async def test_another_name_and_plain_http_get_nothing(edge):
    assert (await asyncio.to_thread(lambda: edge.ask("/behind/x", host="evil.example"))).startswith(b"HTTP/1.1 421")

    def plain():
        with socket.create_connection(("127.0.0.1", edge.plain), timeout=5) as client:
            client.sendall(edge.request("/behind/x"))
            return read_all(client)

    assert (await asyncio.to_thread(plain)).startswith(b"HTTP/1.1 403")
