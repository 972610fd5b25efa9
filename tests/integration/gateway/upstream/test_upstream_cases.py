"""Every broken or evil answer of tests/cases/raw-responses.jsonl, as the exchange sees it."""

import asyncio
import base64
import json
from pathlib import Path

import pytest

from gateway.ends import Deadlines
from tests.integration.gateway.upstream.sides import Caller, ScriptedUpstream, Seen, on_uvloop

CASES_FILE = Path(__file__).parents[3] / "cases" / "raw-responses.jsonl"
CASES = [json.loads(line) for line in CASES_FILE.read_text("utf-8").splitlines()]


def filled(raw: bytes, port: int) -> bytes:
    raw = raw.replace(b"@UPSTREAM_PORT@", b"%d" % port)
    while b"@FILL:" in raw:
        before, _, rest = raw.partition(b"@FILL:")
        count, _, after = rest.partition(b"@")
        raw = before + b"a" * int(count) + after
    return raw


def scripted(case: dict, upstream: ScriptedUpstream):
    async def answer(seen: Seen) -> None:
        connection = seen.connection
        if case["id"].encode() not in seen.target:
            number = b"%d" % len(upstream.seen)
            connection.send(
                b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\nown:%b:%b"
                % (len(number) + len(seen.target) + 5, number, seen.target)
            )
            return
        await send_script(case, connection, upstream.port)
        upstream.played.set()

    return answer


async def send_script(case: dict, connection, port: int) -> None:
    raw = filled(base64.b64decode(case["response_b64"]), port)
    if case.get("drip_ms"):
        for at in range(len(raw)):
            connection.send(raw[at : at + 1])
            await asyncio.sleep(case["drip_ms"] / 1000)
    else:
        connection.send(raw)
    await asyncio.sleep(case.get("delay_ms", 0) / 1000)
    if case.get("late_b64"):
        connection.send(filled(base64.b64decode(case["late_b64"]), port))
    if case.get("reset"):
        connection.reset()
    elif case["close"]:
        connection.close()


def check_answer(case: dict, reply) -> None:
    expect = case["expect"]
    before_head = reply.failure is not None and not reply.status
    if before_head:
        own = 504 if reply.failure.kind == "first_byte_timeout" else 502
        assert own in expect["statuses"], reply.failure
    else:
        assert reply.status in expect["statuses"]
        if expect.get("broken"):
            assert reply.failure is not None
        if "body_b64" in expect:
            assert bytes(reply.body) == base64.b64decode(expect["body_b64"])
    heard = b"".join(b"\r\n%b: %b\r\n" % pair for pair in reply.headers) + bytes(reply.body)
    for wanted in expect.get("require", ()):
        assert wanted.encode().lower() in heard.lower()
    # Reserved and hop-by-hop headers are the exchange's to remove.
    if case["case"] != "U12":
        for evil in expect.get("forbid", ()):
            assert evil.encode() not in heard


@pytest.mark.parametrize("case", CASES, ids=[case["id"] for case in CASES])
@on_uvloop
async def test_raw_answer(case: dict) -> None:
    upstream = ScriptedUpstream()
    upstream.script = scripted(case, upstream)
    upstream.played = asyncio.Event()
    async with upstream, Caller(upstream.snapshot()) as caller:
        await caller.ask(b"/warm")
        method = case.get("method", "GET").encode()
        exchange, reply = caller.begin(
            b"/" + case["id"].encode(), method=method, body=2 if method == b"POST" else 0,
            deadlines=Deadlines(5, 1, 2, 0),
        )  # fmt: skip
        if method == b"POST":
            exchange.write(b"ok")
            exchange.finish()
        await asyncio.wait_for(reply.over.wait(), 5)
        check_answer(case, reply)
        if case["case"] == "U6":
            # Before its late bytes nobody can tell such a connection from an honest one.
            await upstream.played.wait()
        for number in range(3):
            target = b"/next-%d" % number
            after = await caller.ask(target)
            assert after.status == 200
            assert bytes(after.body).startswith(b"own:")
            assert bytes(after.body).endswith(target)
        sent = sum(case["id"].encode() in seen.target for seen in upstream.seen)
        assert sent <= case["expect"].get("upstream_requests_max", 2)
        if case["case"] in {"U5", "U6", "U7"}:
            assert len(upstream.connections) >= 2
