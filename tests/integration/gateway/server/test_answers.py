"""How answers are framed, ordered and ended, for clients of every kind."""

import asyncio
import time
from pathlib import Path

import pytest

from tests.wire.raw_client import RawClient

BIG = b"x" * 10_000_000


@pytest.mark.parametrize("framing", ["length", "chunked"])
@pytest.mark.parametrize("status", [401, 413])
async def test_an_early_answer_arrives_while_the_client_sends_ten_megabytes(served, status, framing):
    fields = b"Content-Length: %d" % len(BIG) if framing == "length" else b"Transfer-Encoding: chunked"
    body = BIG if framing == "length" else b"%x\r\n%b\r\n0\r\n\r\n" % (len(BIG), BIG)
    async with await RawClient.connect(served.address) as client:
        sent = await client.send(b"POST /early?status=%d HTTP/1.1\r\nHost: x\r\n%b\r\n\r\n%b" % (status, fields, body))
        assert await client.ended()
        [answer] = client.transcript().final
        assert sent
        assert (answer.status, answer.whole, answer.closes, client.end) == (status, True, True, "eof")


async def test_a_guards_refusal_arrives_while_the_client_sends_ten_megabytes(served):
    async with await RawClient.connect(served.address) as client:
        await client.send(b"POST /x HTTP/1.1\r\nContent-Length: %d\r\n\r\n" % len(BIG) + BIG)
        assert await client.ended()
        assert [answer.status for answer in client.transcript().final] == [400]
        assert client.end == "eof"


async def test_a_small_rest_of_a_body_is_dropped_and_the_connection_kept(served):
    async with await RawClient.connect(served.address) as client:
        await client.send(b"POST /early?status=401 HTTP/1.1\r\nHost: x\r\nContent-Length: 1000\r\n\r\n" + b"a" * 500)
        assert not (await client.answers(1)).final[0].closes
        await client.send(b"b" * 500 + served.get(b"/next"))
        assert [answer.status for answer in (await client.answers(2)).final] == [401, 200]


async def test_an_old_client_gets_neither_chunks_nor_interim_answers_and_a_close(served):
    for target in (b"/x", b"/x?chunked=1", b"/stream?n=3", b"/interim"):
        async with await RawClient.connect(served.address) as client:
            await client.send(b"GET %b HTTP/1.0\r\n\r\n" % target)
            assert await client.ended()
            seen = client.transcript()
            assert not seen.interim
            assert seen.final[0].whole
            assert seen.final[0].closes
            assert not seen.final[0].values("transfer-encoding")


async def test_an_interim_answer_comes_first(served):
    async with await RawClient.connect(served.address) as client:
        await client.send(served.get(b"/interim"))
        seen = await client.answers(1)
        assert [answer.status for answer in seen.interim] == [103]
        assert seen.final[0].status == 200


@pytest.mark.parametrize("status", [204, 304])
async def test_bodiless_answers_have_no_body(served, status):
    async with await RawClient.connect(served.address) as client:
        await client.send(served.get(b"/x?status=%d" % status) + served.get(b"/next"))
        first, second = (await client.answers(2)).final
        assert first.values("content-length") == ([] if status == 204 else ["18"])
        assert (first.status, first.body, second.status) == (status, b"", 200)


async def test_head_keeps_the_length_and_has_no_body(served):
    async with await RawClient.connect(served.address) as client:
        await client.send(
            b"HEAD /x HTTP/1.1\r\nHost: x\r\n\r\nHEAD /x?chunked=1 HTTP/1.1\r\nHost: x\r\n\r\n" + served.get(b"/n")
        )
        known, unknown, last = (await client.answers(3, methods=["HEAD", "HEAD"])).final
        assert known.values("content-length") == ["8"]
        assert not unknown.values("content-length")
        assert last.status == 200


async def test_ten_pipelined_requests_are_answered_in_order(served):
    post = b"POST /p%d HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n"
    requests = [post % n if n % 3 == 1 else served.get(b"/p%d" % n) for n in range(10)]
    for size in (1 << 20, 7):
        stream = b"".join(requests)
        async with await RawClient.connect(served.address) as client:
            for at in range(0, len(stream), size):
                await client.send(stream[at : at + size])
            seen = await client.answers(10)
            assert [answer.body.split()[1] for answer in seen.final] == [b"/p%d" % n for n in range(10)]


async def test_thousands_of_pipelined_requests_are_answered_in_order(served):
    requests = b"".join(served.get(b"/p%d" % n) for n in range(3000))
    async with await RawClient.connect(served.address) as client:
        sending = asyncio.create_task(client.send(requests))
        assert await client.until(lambda: b"/p2999" in client.received, 15)
        await sending
        assert client.received.count(b"HTTP/1.1 200") == 3000


async def test_nothing_behind_a_close_is_served(served):
    async with await RawClient.connect(served.address) as client:
        await client.send(served.get(b"/one", b"Connection: close") + served.get(b"/two"))
        assert await client.ended()
        assert len(client.transcript().final) == 1


async def test_continue_is_sent_only_when_the_body_is_asked_for(served):
    expecting = b"POST %b HTTP/1.1\r\nHost: x\r\nExpect: 100-continue\r\nContent-Length: 2\r\n\r\n"
    async with await RawClient.connect(served.address) as client:
        await client.send(expecting % b"/x")
        await client.until(lambda: b"100 Continue" in client.received, 2)
        await client.send(b"ok")
        seen = await client.answers(1)
        assert [answer.status for answer in seen.interim] == [100]
        assert seen.final[0].body == b"POST /x ok"
    async with await RawClient.connect(served.address) as client:
        await client.send(expecting % b"/early?status=401")
        assert await client.ended()
        assert not client.transcript().interim
        assert client.transcript().final[0].closes


@pytest.mark.parametrize(("version", "end"), [(b"1.1", "eof"), (b"1.0", "reset")])
async def test_a_cut_answer_is_seen_as_cut(served, version, end):
    async with await RawClient.connect(served.address) as client:
        await client.send(b"GET /stream?n=3&pause=0.05&cut=1 HTTP/%b\r\nHost: x\r\n\r\n" % version)
        assert await client.ended()
        assert not client.transcript().final[0].whole
        assert client.end == end


async def test_a_fault_of_the_application_is_a_500_that_says_nothing(served):
    async with await RawClient.connect(served.address) as client:
        await client.send(served.get(b"/fault"))
        [answer] = (await client.answers(1)).final
        assert answer.status == 500
        assert b"ZeroDivision" not in answer.body


async def test_an_upload_is_read_no_faster_than_the_application_takes_it(served):
    async with await RawClient.connect(served.address) as client:
        await client.send(b"POST /never HTTP/1.1\r\nHost: x\r\nContent-Length: 100000000\r\n\r\n")
        assert not await client.send(b"x" * 50_000_000, seconds=1.0)
    assert memory(served) < 120_000_000


def memory(served) -> int:
    return int(Path(f"/proc/{served.process.pid}/statm").read_text().split()[1]) * 4096


async def test_a_tunnel_passes_bytes_both_ways_and_half_closes(served):
    upgrade = (b"Connection: Upgrade", b"Upgrade: websocket")
    async with await RawClient.connect(served.address) as client:
        await client.send(served.get(b"/tunnel", *upgrade) + b"early ")
        await client.until(lambda: b"early" in client.received, 2)
        payload = bytes(range(256)) * 40_000
        assert await client.send(payload)
        await client.until(lambda: client.received.endswith(payload), 5)
        assert client.received.endswith(b"early " + payload)
        assert not served.said("the tunnel ended")
        client.half_close()
        assert await client.ended()
        assert client.end == "eof"
    deadline = time.monotonic() + 5
    while not served.said("the tunnel ended"):
        assert time.monotonic() < deadline
        await asyncio.sleep(0.02)


async def test_an_upgrade_that_is_not_granted_ends_with_its_answer(served):
    async with await RawClient.connect(served.address) as client:
        await client.send(served.get(b"/x", b"Connection: Upgrade", b"Upgrade: websocket") + served.get(b"/behind"))
        assert await client.ended()
        assert [answer.status for answer in client.transcript().final] == [200]


async def test_other_upgrades_are_ignored(served):
    async with await RawClient.connect(served.address) as client:
        await client.send(served.get(b"/x", b"Connection: Upgrade", b"Upgrade: h2c") + served.get(b"/y"))
        assert [answer.status for answer in (await client.answers(2)).final] == [200, 200]
