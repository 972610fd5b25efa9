"""TLS towards upstreams: verified by default, with the right name, and never silently without."""

import asyncio
import socket
import ssl
import subprocess
from pathlib import Path

import pytest

from gateway.bounded_reads import READ_BYTES
from gateway.ends import Deadlines
from gateway.upstream.dial import tls_context
from tests.integration.gateway.upstream.sides import Caller, ScriptedUpstream, Seen, on_asyncio, on_uvloop


def openssl(folder: Path, *arguments: str) -> None:
    subprocess.run(["openssl", *arguments], cwd=folder, check=True, capture_output=True)


@pytest.fixture(scope="session")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A CA and certificates signed by it: for localhost, for another name, and one that is over."""
    folder = tmp_path_factory.mktemp("tls")
    key = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes"]
    openssl(
        folder, "req", "-x509", *key, "-keyout", "ca.key", "-out", "ca.pem", "-subj", "/CN=Test CA", "-days", "2",
        "-addext", "keyUsage=critical,keyCertSign",
    )  # fmt: skip
    for name, host, days in (("good", "localhost", "2"), ("other", "other.example", "2")):
        openssl(folder, "req", *key, "-keyout", f"{name}.key", "-out", f"{name}.csr", "-subj", f"/CN={host}")
        (folder / f"{name}.ext").write_text(f"subjectAltName=DNS:{host}\nauthorityKeyIdentifier=keyid\n")
        openssl(
            folder, "x509", "-req", "-in", f"{name}.csr", "-CA", "ca.pem", "-CAkey", "ca.key", "-CAcreateserial",
            "-out", f"{name}.pem", "-days", days, "-extfile", f"{name}.ext",
        )  # fmt: skip
    return folder


@pytest.fixture
def trusting(authority: Path, monkeypatch: pytest.MonkeyPatch):
    """The test CA is what the system trusts."""
    monkeypatch.setenv("SSL_CERT_FILE", str(authority / "ca.pem"))
    tls_context.cache_clear()
    yield
    tls_context.cache_clear()


def serving(authority: Path, name: str) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(authority / f"{name}.pem", authority / f"{name}.key")
    context.set_alpn_protocols(["h2", "http/1.1"])
    return context


async def exchange_both_ways(context: ssl.SSLContext) -> None:
    names: list[str] = []
    context.sni_callback = lambda _socket, name, _context: names.append(name)
    async with ScriptedUpstream(tls=context) as upstream, Caller(upstream.snapshot(host="localhost")) as caller:
        for _ in range(3):
            exchange, reply = caller.begin(method=b"POST", body=None)
            exchange.write(b"a" * 300_000)
            exchange.pause()
            exchange.resume()
            exchange.finish()
            await asyncio.wait_for(reply.over.wait(), 5)
            assert bytes(reply.body) == b"hello"
        assert len(upstream.connections) == 1
        assert upstream.seen[0].body == b"a" * 300_000
        tls = upstream.connections[0].writer.get_extra_info("ssl_object")
        assert tls.selected_alpn_protocol() == "http/1.1"
        assert names == ["localhost"]


@pytest.mark.usefixtures("trusting")
@on_uvloop
async def test_verified(authority: Path) -> None:
    await exchange_both_ways(serving(authority, "good"))


@pytest.mark.usefixtures("trusting")
@on_asyncio
async def test_verified_on_the_standard_loop(authority: Path) -> None:
    await exchange_both_ways(serving(authority, "good"))


@pytest.mark.usefixtures("trusting")
@on_uvloop
async def test_another_name_is_refused(authority: Path) -> None:
    async with (
        ScriptedUpstream(tls=serving(authority, "other")) as upstream,
        Caller(upstream.snapshot(host="localhost")) as caller,
    ):
        reply = await caller.ask()
        assert reply.failure is not None
        assert (reply.failure.kind, reply.failure.sent) == ("connect", False)
        assert "ostname mismatch" in reply.failure.internal
        assert upstream.seen == []


@on_uvloop
async def test_an_unknown_authority_is_refused_unless_the_service_says_so(authority: Path) -> None:
    tls_context.cache_clear()
    async with ScriptedUpstream(tls=serving(authority, "good")) as upstream:
        async with Caller(upstream.snapshot(host="localhost")) as caller:
            reply = await caller.ask()
            assert reply.failure is not None
            assert reply.failure.kind == "connect"
            assert "certificate" in reply.failure.internal
            assert upstream.seen == []
        async with Caller(upstream.snapshot(tls_verify=False)) as caller:
            assert (await caller.ask()).status == 200


@on_uvloop
async def test_an_upstream_that_speaks_no_tls() -> None:
    async with ScriptedUpstream() as upstream:
        upstream.tls = True
        origin = upstream.snapshot()
        upstream.tls = None
        async with Caller(origin) as caller:
            reply = await caller.ask(deadlines=Deadlines(0.5, 5, 5, 0))
            assert reply.failure is not None
            assert (reply.failure.kind, reply.failure.sent) in {("connect", False), ("connect_timeout", False)}


@pytest.mark.usefixtures("trusting")
@on_uvloop
async def test_a_cut_without_goodbye_is_no_end(authority: Path) -> None:
    async def script(seen: Seen) -> None:
        seen.connection.send(b"HTTP/1.1 200 OK\r\n\r\npartial")
        await asyncio.sleep(0.1)
        with seen.connection.raw_socket() as raw:
            raw.shutdown(socket.SHUT_RDWR)

    upstream = ScriptedUpstream(script, tls=serving(authority, "good"))
    async with upstream, Caller(upstream.snapshot(host="localhost")) as caller:
        reply = await caller.ask()
        assert bytes(reply.body) == b"partial"
        assert reply.failure is not None


@on_uvloop
async def answer_behind_a_full_read(context: ssl.SSLContext) -> None:
    head = b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n"
    length = READ_BYTES - len(head % READ_BYTES)
    answer = head % length + b"a" * length
    assert len(answer) == READ_BYTES

    async def script(seen: Seen) -> None:
        seen.connection.send(answer + b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nEVIL!")

    async with (
        ScriptedUpstream(script, tls=context) as upstream,
        Caller(upstream.snapshot(host="localhost"), limit=1) as caller,
    ):
        for number in range(5):
            # The second waits for the one connection there may be.
            replies = [caller.begin()[1], caller.begin()[1]]
            for reply in replies:
                await asyncio.wait_for(reply.over.wait(), 5)
                assert bytes(reply.body) == b"a" * length
            assert len(upstream.connections) == 2 * number + 2


@pytest.mark.usefixtures("trusting")
def test_what_tls_holds_back_reaches_nobody(authority: Path) -> None:
    answer_behind_a_full_read(serving(authority, "good"))
