"""Every endpoint of httpbin, called directly and through the gateway: same status, same headers, same bytes."""

import hashlib
import json
import re
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from loadtests.processes import ROOT, Process, free_port
from loadtests.raw_client import Answer, Connection
from tests.real_clients.front import Front, Target
from tests.real_clients.httpbin_calls import PATHS, Call, calls
from tests.real_clients.httpbin_server import httpbin
from tests.real_clients.sameness import compare

METHODS = {str(rule): frozenset(rule.methods or ()) for rule in httpbin.url_map.iter_rules()}
LINES = "Accept: */*\r\nUser-Agent: tests\r\n"


@pytest.fixture(scope="module")
def httpbin_port(tmp_path_factory: pytest.TempPathFactory) -> Iterator[int]:
    """httpbin under gunicorn with threads."""
    port, folder = free_port(), Path(tmp_path_factory.mktemp("httpbin"))
    argv = [sys.executable, "-m", "gunicorn", "tests.real_clients.httpbin_server:app", "--bind", f"127.0.0.1:{port}"]
    argv += ["--worker-class", "gthread", "--threads", "16", "--no-control-socket", "--worker-tmp-dir", str(folder)]
    with Process("httpbin", argv, folder / "log", env={"PYTHONPATH": str(ROOT)}, cwd=folder).start(port):
        yield port


async def ask(target: Target, call: Call) -> Answer:
    """One call on a connection of its own."""
    async with Connection(target.address, target.key) as connection:
        return await connection.request(call.path, call.method, LINES + call.lines, call.body)


async def differences(front: Front, port: int, call: Call) -> list[str]:
    """What the gateway changed that it may not change."""
    target = await front.behind_once(port)
    return compare(call.path, await ask(Target(f"http://127.0.0.1:{port}"), call), await ask(target, call))


def test_no_endpoint_of_httpbin_is_left_out() -> None:
    assert set(PATHS) == set(METHODS)


@pytest.mark.parametrize("call", calls(METHODS), ids=str)
async def test_a_call_gives_the_same_through_the_gateway(front: Front, httpbin_port: int, call: Call) -> None:
    assert await differences(front, httpbin_port, call) == []


async def test_trace_is_refused_by_the_gateway_itself(front: Front, httpbin_port: int) -> None:
    answer = await ask(await front.behind_once(httpbin_port), Call("TRACE", "/anything"))
    assert (answer.status, answer.header("content-type")) == (405, "application/problem+json")


@pytest.mark.parametrize("size", [0, 1, 65_536, 10_000_000, pytest.param(100_000_000, marks=pytest.mark.slow)])
@pytest.mark.timeout(110)
async def test_a_body_goes_up_and_comes_down_unchanged(front: Front, httpbin_port: int, size: int) -> None:
    call = Call("POST", "/anything", "Content-Type: text/plain\r\n", (b"0123456789abcdef" * (size // 16 + 1))[:size])
    assert await differences(front, httpbin_port, call) == []


async def test_a_kept_connection_gives_the_same_for_many_calls_in_a_row(front: Front, httpbin_port: int) -> None:
    paths = ["/bytes/1000?seed=1", "/status/204", "/stream-bytes/5000?seed=2", "/image/png", "/status/304", "/xml"] * 5
    directly, target = Target(f"http://127.0.0.1:{httpbin_port}"), await front.behind_once(httpbin_port)
    async with Connection(target.address, target.key) as kept:
        for path in paths:
            assert compare(path, await ask(directly, Call("GET", path)), await kept.request(path, headers=LINES)) == []


@pytest.mark.parametrize("algorithm", ["MD5", "SHA-256"])
async def test_digest_authentication_ends_in_200(front: Front, httpbin_port: int, algorithm: str) -> None:
    path = f"/digest-auth/auth/ann/secret/{algorithm}"
    target = await front.behind_once(httpbin_port)
    async with Connection(target.address, target.key) as connection:
        challenge = await connection.request(path, headers=LINES)
        assert challenge.status == 401
        cookies = "; ".join(
            value.partition(";")[0] for name, value in challenge.headers if name.lower() == "set-cookie"
        )
        offered = challenge.header("www-authenticate") or ""
        lines = f"Cookie: {cookies}\r\nAuthorization: {digest(offered, path, algorithm)}\r\n"
        answer = await connection.request(path, headers=LINES + lines)
    assert answer.status == 200
    assert json.loads(answer.body)["authenticated"] is True


def digest(challenge: str, path: str, algorithm: str) -> str:
    """The `Authorization` of RFC 7616 for user ann with password secret."""

    def digested(*parts: str) -> str:
        make = hashlib.md5 if algorithm == "MD5" else hashlib.sha256
        return make(":".join(parts).encode()).hexdigest()

    given = dict(re.findall(r'(\w+)="?([^",]*)"?', challenge))
    first, second = digested("ann", given["realm"], "secret"), digested("GET", path)
    response = digested(first, given["nonce"], "00000001", "cafe", "auth", second)
    return (
        f'Digest username="ann", realm="{given["realm"]}", nonce="{given["nonce"]}", uri="{path}", algorithm={algorithm}, '
        f'response="{response}", opaque="{given["opaque"]}", qop=auth, nc=00000001, cnonce="cafe"'
    )
