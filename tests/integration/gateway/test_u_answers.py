"""U1-U13 beyond the case files: who is told what when an upstream answers badly, slowly, or with too much.

The bytes of U1-U13 themselves are in tests/cases/raw-responses.jsonl (tests/conformance/test_raw_responses.py).
"""

import gzip
import json
import time

import pytest

from tests.gateways import RunningGateway, connected, make_service
from tests.integration.gateway.conftest import World
from tests.wire.fault_proxy import FaultProxy
from tests.wire.raw_client import RawClient
from tests.wire.upstream import Script

HEAD = b"HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\n"


@pytest.mark.parametrize(
    ("name", "head"),
    [
        ("u1", HEAD + b"Content-Length: 2\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n"),
        ("u2", HEAD + b"Content-Length: 2\r\nContent-Length: 3\r\n\r\nok!"),
        ("u3", HEAD + b"Transfer-Encoding: gzip\r\n\r\nok"),
        ("u9", HEAD + b"X-Big: " + b"a" * 100_000 + b"\r\nContent-Length: 2\r\n\r\nok"),
        ("u10", HEAD + b"X A: b\r\nContent-Length: 2\r\n\r\nok"),
    ],
)
async def test_u_a_bad_head_is_502_and_explained(gateway: RunningGateway, world: World, name: str, head: bytes) -> None:
    world.upstream.script(f"/{name}-explained", Script(head))
    answer = await gateway.ask(gateway.request(f"/proxy/{name}-explained", world.tenant.key))
    problem = json.loads(answer.body)
    assert (answer.status, problem["code"]) == (502, "upstream_broken")
    assert "not charged" in problem["detail"]
    assert answer.first("x-request-id") == problem["request_id"]


async def test_u4_a_broken_body_is_logged_as_cut(gateway: RunningGateway, world: World) -> None:
    world.upstream.script("/u4-cut", Script(HEAD + b"Content-Length: 100\r\n\r\nonly this", close=True))
    async with await RawClient.connect(gateway.address) as client:
        await client.send(gateway.request("/proxy/u4-cut", world.tenant.key))
        await client.ended()
        (answer,) = client.transcript().final
    assert (answer.status, answer.whole) == (200, False)
    query = "select outcome from request_log where id = $1"
    async with connected(world.database_url) as connection:
        deadline, outcome = time.monotonic() + 5, None
        while outcome is None and time.monotonic() < deadline:
            outcome = await connection.fetchval(query, answer.first("x-request-id"))
    assert outcome == "cut"


async def test_u4_a_reset_in_the_body_is_seen_by_the_client(gateway: RunningGateway, world: World) -> None:
    """The network breaks between upstream and gateway, not the upstream."""
    world.upstream.script("/u4-network", Script(HEAD + b"Content-Length: 50000\r\n\r\n" + b"z" * 50_000))
    async with FaultProxy(("127.0.0.1", world.upstream.port)) as proxy:
        async with connected(world.database_url) as connection:
            await make_service(connection, "broken-network", "/u4", proxy.address[1])
        await gateway.serves("/u4")
        proxy.to_client.cut_after(20_000, "reset")
        async with await RawClient.connect(gateway.address) as client:
            await client.send(gateway.request("/u4/u4-network", world.tenant.key))
            # A reset may overtake the head: then nothing came, and the answer is a 502.
            (answer,) = (await client.answers(1)).final
            assert answer.status == 502 or (client.end is not None and not answer.whole)


async def test_u5_u6_poison_never_reaches_another_tenant(gateway: RunningGateway, world: World) -> None:
    """One tenant's upstream answer is followed by another; the other tenant asks right after, on new and kept connections."""
    poison = b"HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\nPOISON"
    world.upstream.script("/u5-poison", Script(HEAD + b"Content-Length: 2\r\n\r\nok" + poison))
    async with await RawClient.connect(gateway.address) as kept:
        for round_number in range(20):
            assert (await gateway.ask(gateway.request("/proxy/u5-poison", world.tenant.key))).body != b"POISON"
            kept.received.clear()
            await kept.send(gateway.request(f"/proxy/u5-clean-{round_number}", world.other.key))
            answer = (await kept.answers(1)).final[0]
            assert answer.body.endswith(f"to /u5-clean-{round_number}\n".encode())


async def test_u9_a_head_that_drips_ends_with_the_first_byte_timeout(gateway: RunningGateway, world: World) -> None:
    """The deadline runs to the end of the head: bytes that trickle in don't extend it."""
    async with connected(world.database_url) as connection:
        await make_service(connection, "impatient", "/u9", world.upstream.port, first_byte_timeout_ms=500)
    await gateway.serves("/u9")
    world.upstream.script("/u9-drip-deadline", Script(HEAD + b"Content-Length: 2\r\n\r\nok", drip_ms=100))
    begun = time.monotonic()
    answer = await gateway.ask(gateway.request("/u9/u9-drip-deadline", world.tenant.key))
    assert (answer.status, json.loads(answer.body)["code"]) == (504, "upstream_timeout")
    assert time.monotonic() - begun < 2


async def test_u9_an_interim_answer_is_filtered_like_a_final_one(gateway: RunningGateway, world: World) -> None:
    """Found by mutation: a 1xx has no framing (RFC 9110 8.6), and hop-by-hop and reserved fields never cross."""
    fields = b"Link: </a>\r\nContent-Length: 0\r\nConnection: X-Private\r\nX-Private: 1\r\nKeep-Alive: max=1\r\nX-PE-Plan: forged\r\n"
    interim = b"HTTP/1.1 103 Early Hints\r\n" + fields + b"\r\n"
    world.upstream.script("/u9-interim", Script(interim + HEAD + b"Content-Length: 2\r\n\r\nok"))
    async with await RawClient.connect(gateway.address) as client:
        await client.send(gateway.request("/proxy/u9-interim", world.tenant.key))
        seen = await client.answers(1)
    assert seen.problem == ""
    assert seen.final[0].status in {200, 502}
    names = {name.lower() for answer in seen.interim for name, _ in answer.fields}
    assert names <= {"link"}


async def test_u11_a_bomb_is_passed_on_undecoded(gateway: RunningGateway, world: World) -> None:
    bomb = gzip.compress(bytes(10_000_000))
    head = HEAD + b"Content-Encoding: gzip\r\nContent-Length: %d\r\n\r\n" % len(bomb)
    world.upstream.script("/u11-bomb", Script(head + bomb))
    raw = gateway.request("/proxy/u11-bomb", world.tenant.key, "Accept-Encoding: gzip")
    answer = await gateway.ask(raw)
    assert (answer.first("content-encoding"), answer.body) == ("gzip", bomb)


async def test_u12_upstream_fields_pass_and_reserved_ones_do_not(gateway: RunningGateway, world: World) -> None:
    """DESIGN.md section 4: the upstream's own end-to-end fields pass unchanged; a service that must not set cookies is a policy."""
    fields = b"Set-Cookie: a=1\r\nServer: x\r\nClear-Site-Data: *\r\nLocation: http://internal/\r\nX-PE-Plan: forged\r\nX-Request-Id: forged\r\n"
    world.upstream.script("/u12-fields", Script(HEAD + fields + b"Content-Length: 2\r\n\r\nok"))
    answer = await gateway.ask(gateway.request("/proxy/u12-fields", world.tenant.key))
    assert [answer.first(name) for name in ("set-cookie", "server", "clear-site-data", "location")] == [
        "a=1",
        "x",
        "*",
        "http://internal/",
    ]
    assert "forged" not in answer.text


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
async def test_u13_no_redirect_is_followed(gateway: RunningGateway, world: World, status: int) -> None:
    there = f"http://127.0.0.1:{world.upstream.port}/u13-followed"
    world.upstream.script(
        "/u13-moved", Script(f"HTTP/1.1 {status} Go\r\nLocation: {there}\r\nContent-Length: 0\r\n\r\n".encode())
    )
    mark = world.upstream.mark()
    answer = await gateway.ask(gateway.request("/proxy/u13-moved", world.tenant.key))
    assert (answer.status, answer.first("location")) == (status, there)
    assert [record.target for record in world.upstream.since(mark)] == ["/u13-moved"]
