"""P9, P10, P11, P13: what a target, a query, a Host and an Upgrade may do."""

import base64
import hashlib
import json

import pytest

from tests.gateways import RunningGateway, connected
from tests.integration.gateway.conftest import World
from tests.wire.raw_client import RawClient
from tests.wire.upstream import Recorded, Script, reached

WEBSOCKET = (
    "Connection: Upgrade",
    "Upgrade: websocket",
    "Sec-WebSocket-Version: 13",
    "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==",
)


@pytest.mark.parametrize("path", ["../b", "%2e%2e/b", ".%2E/b", "x/../../b", "..%2fb", "..;/b", "%5c..%5cb", "./b"])
async def test_p9_no_path_leaves_the_upstream_prefix(gateway: RunningGateway, world: World, path: str) -> None:
    mark = world.upstream.mark()
    answer = await gateway.ask(gateway.request(f"/based/{path}", world.tenant.key))
    assert answer.status == 400
    assert world.upstream.since(mark) == []


@pytest.mark.parametrize(
    ("path", "arrives"),
    [("/b?q=../c", "/tenant/a/b?q=../c"), ("/%252e%252e/b", "/tenant/a/%252e%252e/b"), ("", "/tenant/a")],
)
async def test_p9_what_passes_stays_below_the_prefix(
    gateway: RunningGateway, world: World, path: str, arrives: str
) -> None:
    mark = world.upstream.mark()
    answer = await gateway.ask(gateway.request(f"/based{path}", world.tenant.key))
    assert answer.status == 200
    assert world.upstream.since(mark)[0].target in {arrives, f"{arrives}/"}


@pytest.mark.parametrize(
    "query", ["api_key=@", "a=1&apikey=@", "x-api-key=@", "token=@", "q=%70e_live_@", "apikey[]=@"]
)
@pytest.mark.parametrize("beside_header", [False, True], ids=["alone", "beside the header"])
async def test_p10_a_key_in_the_query_is_refused(
    gateway: RunningGateway, world: World, query: str, beside_header: bool
) -> None:
    key = world.tenant.key
    shown = query.replace("%70e_live_@", "%70" + key[1:]).replace("@", key)
    mark = world.upstream.mark()
    answer = await gateway.ask(gateway.request(f"/proxy/p10?{shown}", key if beside_header else ""))
    assert answer.status == 400
    assert json.loads(answer.body)["code"] == "key_in_query"
    assert key.encode() not in answer.body
    assert world.upstream.since(mark) == []


async def test_p10_a_key_in_the_query_is_not_logged(gateway: RunningGateway, world: World) -> None:
    answer = await gateway.ask(gateway.request(f"/proxy/p10-log?a=1&api_key={world.tenant.key}", ""))
    request_id = answer.first("x-request-id")
    async with connected(world.database_url) as connection:
        rows: list[str] = []

        async def written() -> bool:
            rows[:] = [
                r[0] for r in await connection.fetch("select r::text from request_log r where id = $1", request_id)
            ]
            return bool(rows)

        for _ in range(100):
            if await written():
                break
            await reached(lambda: False, 0.05)
    assert len(rows) == 1
    secret = world.tenant.key.split("_")[-1]
    assert secret not in rows[0]
    assert secret not in gateway.log


@pytest.mark.parametrize(
    ("host", "status"),
    [
        ("api.example", 200),
        ("API.example", 200),
        ("api.example:443", 200),
        ("api.example.", 421),
        ("other.example", 421),
        ("api.example.evil.example", 421),
        ("xn--mnchen-3ya.example", 421),
        ("10.0.0.1", 421),
        ("[::1]", 421),
        ("api.example@evil.example", 400),
        ("api.example:0x50", 400),
        ("münchen.example", 400),
    ],
)
async def test_p11_only_listed_hosts(strict_gateway: RunningGateway, world: World, host: str, status: int) -> None:
    raw = f"GET /proxy/p11 HTTP/1.1\r\nHost: {host}\r\nX-API-Key: {world.tenant.key}\r\n\r\n".encode()
    assert (await strict_gateway.ask(raw)).status == status


async def test_p11_no_address_is_made_of_the_host(gateway: RunningGateway, world: World) -> None:
    """Nothing that the gateway says repeats the Host: links in problems come from configuration."""
    raw = b"GET /no-such HTTP/1.1\r\nHost: poisoned.example\r\n\r\n"
    answer = await gateway.ask(raw)
    assert answer.status == 404
    assert "poisoned" not in answer.text
    assert b"poisoned" not in answer.body


def _accept(record: Recorded, salt: bytes = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11") -> bytes:
    assert record.request is not None
    key = record.request.values("sec-websocket-key")[0].encode()
    token = base64.b64encode(hashlib.sha1(key + salt, usedforsecurity=False).digest())
    return (
        b"HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Accept: "
        + token
        + b"\r\n\r\nhello tunnel"
    )


async def test_p13_a_tunnel_only_after_a_valid_accept(gateway: RunningGateway, world: World) -> None:
    world.upstream.script("/p13-good", Script(_accept))
    world.upstream.script("/p13-bad", Script(lambda record: _accept(record, b"wrong"), close=True))
    bad = await gateway.ask(gateway.request("/proxy/p13-bad", world.tenant.key, *WEBSOCKET))
    assert bad.status == 502
    assert b"tunnel" not in bad.body
    async with await RawClient.connect(gateway.address) as client:
        await client.send(gateway.request("/proxy/p13-good", world.tenant.key, *WEBSOCKET))
        await client.until(lambda: client.received.endswith(b"hello tunnel"), 5)
        seen = client.transcript()
    assert seen.final[0].status == 101
    assert seen.rest == b"hello tunnel"


@pytest.mark.parametrize("upgrade", ["h2c", "foo/1", "websocket/13", "WebSocket, h2c"])
async def test_p13_other_upgrades_are_ordinary_requests_or_refused(
    gateway: RunningGateway, world: World, upgrade: str
) -> None:
    mark = world.upstream.mark()
    lines = ("Connection: Upgrade, HTTP2-Settings", f"Upgrade: {upgrade}", "HTTP2-Settings: AAMAAABkAARAAAAAAAIAAAAA")
    answer = await gateway.ask(gateway.request("/proxy/p13-other", world.tenant.key, *lines))
    assert answer.status in {200, 400, 426, 501}
    for record in world.upstream.since(mark):
        assert "h2c" not in record.text.lower()
        assert "foo/1" not in record.text.lower()
        assert "http2-settings" not in record.text.lower()
