"""P14, P15, P16, P17, P18, P19: bodies, deadlines, and input that is large on purpose."""

import json
import time

import pytest

from tests.gateways import RunningGateway
from tests.integration.gateway.conftest import BODY_LIMIT, World
from tests.wire.raw_client import RawClient

UNKNOWN = "pe_live_AAAAAAAAAA_AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA000000"


async def test_p14_an_unknown_key_is_refused_before_the_body(gateway: RunningGateway, world: World) -> None:
    mark = world.upstream.mark()
    head = gateway.request("/proxy/p14", UNKNOWN, "Expect: 100-continue", "Content-Length: 1000000", method="POST")
    async with await RawClient.connect(gateway.address) as client:
        await client.send(head)
        seen = await client.answers(1)
    assert (seen.interim, seen.final[0].status, seen.final[0].whole) == ([], 401, True)
    assert world.upstream.since(mark) == []


async def test_p14_another_expectation_is_417(gateway: RunningGateway, world: World) -> None:
    answer = await gateway.ask(
        gateway.request("/proxy/p14", world.tenant.key, "Expect: bogus", method="POST", body=b"x")
    )
    assert (answer.status, json.loads(answer.body)["code"]) == (417, "expectation_failed")


async def test_p15_an_announced_body_over_the_limit_is_not_read(gateway: RunningGateway, world: World) -> None:
    mark = world.upstream.mark()
    head = gateway.request("/limited/p15", world.tenant.key, "Content-Length: 100000000", method="POST")
    async with await RawClient.connect(gateway.address) as client:
        begun = time.monotonic()
        await client.send(head)
        seen = await client.answers(1)
        assert time.monotonic() - begun < 1
    assert (seen.final[0].status, json.loads(seen.final[0].body)["code"]) == (413, "body_too_large")
    assert world.upstream.since(mark) == []


async def test_p15_a_chunked_body_over_the_limit_never_ends_at_the_upstream(
    gateway: RunningGateway, world: World
) -> None:
    mark = world.upstream.mark()
    head = gateway.request("/limited/p15-chunked", world.tenant.key, "Transfer-Encoding: chunked", method="POST")
    async with await RawClient.connect(gateway.address) as client:
        await client.send(head)
        for _ in range(50):
            if not await client.send(b"3e8\r\n" + b"z" * 1000 + b"\r\n", 1) or client.end:
                break
        seen = await client.answers(1)
        assert await client.ended(5)
    assert (seen.final[0].status, seen.final[0].whole) == (413, True)
    assert await world.upstream.settled(mark)
    assert [record.state for record in world.upstream.since(mark) if record.state == "whole"] == []


async def test_p15_a_body_at_the_limit_passes(gateway: RunningGateway, world: World) -> None:
    body = b"z" * BODY_LIMIT
    mark = world.upstream.mark()
    answer = await gateway.ask(gateway.request("/limited/p15-fits", world.tenant.key, method="POST", body=body))
    assert answer.status == 200
    # Whole ones only: an aborted request of the test before may arrive late.
    arrived = [record.request for record in world.upstream.since(mark) if record.state == "whole"]
    assert [request and request.body for request in arrived] == [body]


@pytest.mark.parametrize(
    ("sent", "statuses"),
    [
        ("", {0, 408}),
        ("GET /proxy/p15-half HTTP/1.1\r\nHost: 127.0.0.1\r\nX-A: ", {0, 408}),
        ("POST /proxy/p15-half HTTP/1.1\r\nHost: 127.0.0.1\r\nX-API-Key: @\r\nContent-Length: 10\r\n\r\nab", {408}),
        (
            "POST /proxy/p15-half HTTP/1.1\r\nHost: 127.0.0.1\r\nX-API-Key: @\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nab\r\n",
            {408},
        ),
    ],
    ids=["silent", "half a head", "half a body", "half a chunked body"],
)
async def test_p15_who_stalls_is_answered_and_closed(
    strict_gateway: RunningGateway, world: World, sent: str, statuses: set[int]
) -> None:
    """The deadlines of `strict_gateway` are one second."""
    mark = world.upstream.mark()
    async with await RawClient.connect(strict_gateway.address) as client:
        begun = time.monotonic()
        await client.send(sent.replace("@", world.tenant.key).encode())
        assert await client.ended(8)
        took, seen = time.monotonic() - begun, client.transcript()
    assert 0.8 < took < 5
    assert (seen.final[0].status if seen.final else 0) in statuses
    assert seen.problem == ""
    assert await world.upstream.settled(mark)
    assert not [record for record in world.upstream.since(mark) if record.state == "whole"]


async def test_p15_a_slow_head_is_cut_although_bytes_keep_coming(strict_gateway: RunningGateway) -> None:
    async with await RawClient.connect(strict_gateway.address) as client:
        begun = time.monotonic()
        await client.send(b"GET /proxy/slow HTTP/1.1\r\nHost: 127.0.0.1\r\n")
        while client.end is None and time.monotonic() - begun < 8:
            await client.send(b"X-A: b\r\n")
            await client.ended(0.1)
        assert client.end is not None
    assert time.monotonic() - begun < 4


@pytest.mark.parametrize("method", ["GET", "DELETE", "OPTIONS", "PATCH"])
@pytest.mark.parametrize("chunked", [False, True], ids=["length", "chunked"])
async def test_p16_any_method_may_have_a_body(
    gateway: RunningGateway, world: World, method: str, chunked: bool
) -> None:
    mark = world.upstream.mark()
    if chunked:
        raw = gateway.request("/proxy/p16", world.tenant.key, "Transfer-Encoding: chunked", method=method)
        raw += b"5\r\nhello\r\n0\r\n\r\n"
    else:
        raw = gateway.request("/proxy/p16", world.tenant.key, method=method, body=b"hello")
    assert (await gateway.ask(raw)).status == 200
    (record,) = world.upstream.since(mark)
    assert record.request is not None
    assert (record.state, record.request.method, record.request.body) == ("whole", method, b"hello")


async def test_p17_many_ranges_cost_nothing(gateway: RunningGateway, world: World) -> None:
    """The gateway serves no static file: a Range belongs to the upstream. 10,000 of them are too many header bytes."""
    for count, status in ((5_000, 200), (10_000, 431)):
        begun = time.monotonic()
        ranges = "Range: bytes=" + "0-0," * count + "0-0"
        answer = await gateway.ask(gateway.request("/proxy/p17", world.tenant.key, ranges))
        assert answer.status == status
        assert time.monotonic() - begun < 1


@pytest.mark.parametrize(
    ("kind", "body"),
    [
        ("application/json", b"[" * 100_000),
        ("application/json", b'{"a":NaN,"a":' + b"9" * 100_000 + b"}"),
        (
            "multipart/form-data; boundary=b",
            b'--b\r\nContent-Disposition: form-data; name="x"\r\n\r\n1\r\n' * 10_000 + b"--b--\r\n",
        ),
    ],
    ids=["P19 deep", "P19 numbers", "P18 fields"],
)
async def test_p18_p19_bodies_are_never_parsed(gateway: RunningGateway, world: World, kind: str, body: bytes) -> None:
    """There is no portal form and no JSON API yet; what exists passes bodies on unread, and its own routes ignore them."""
    mark = world.upstream.mark()
    raw = gateway.request("/proxy/p19", world.tenant.key, f"Content-Type: {kind}", method="POST", body=body)
    begun = time.monotonic()
    assert (await gateway.ask(raw)).status == 200
    assert time.monotonic() - begun < 2
    # Whole ones only: an aborted request of the test before may arrive late.
    arrived = [record.request for record in world.upstream.since(mark) if record.state == "whole"]
    assert [request and request.body for request in arrived] == [body]
    own = gateway.request("/user/usage", world.tenant.key, f"Content-Type: {kind}", method="GET", body=body)
    assert (await gateway.ask(own)).status in {200, 400, 413}
