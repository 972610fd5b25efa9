"""K1, K2, K3: who is let in, that all refusals look alike, and that time tells nothing."""

import json
import re
import statistics
import time
from datetime import UTC, datetime, timedelta

import pytest

from domain import keys
from domain.key_format import checksum, mint, random_text
from tests.gateways import RunningGateway, connected, key_settings, running_gateway
from tests.integration.gateway.conftest import World
from tests.wire.answers import WireAnswer
from tests.wire.fault_proxy import FaultProxy
from tests.wire.raw_client import RawClient

ROUNDS = 120


def _bad_checksum(key: str) -> str:
    return key[:-1] + ("A" if key[-1] != "A" else "B")


def _masked(answer: WireAnswer) -> tuple[int, list[tuple[str, str]], bytes]:
    """An answer without what is different in each: request id and date."""
    request_id = answer.first("x-request-id")
    assert re.fullmatch(r"[0-9a-f-]{36}", request_id)
    fields = [(name, "" if name in {"date", "x-request-id"} else value) for name, value in answer.fields]
    return answer.status, fields, answer.body.replace(request_id.encode(), b"")


async def _dead_keys(world: World) -> dict[str, str]:
    """Keys that were ours, and are no longer valid."""
    async with connected(world.database_url) as connection:
        made = [
            await keys.create(connection, key_settings(), organization_id=world.tenant.organization_id, name=name)
            for name in ("revoked", "expired")
        ]
        await keys.revoke(connection, made[0].record.id, organization_id=None)
        past = datetime.now(UTC) - timedelta(seconds=1)
        await connection.execute("update api_key set expires_at = $2 where id = $1", made[1].record.id, past)
    return {"revoked": made[0].plaintext, "expired": made[1].plaintext}


async def test_k1_every_401_is_the_same(gateway: RunningGateway, world: World) -> None:
    presented = {
        "missing": "",
        "malformed": "x",
        "nearly a key": "pe_live_short",
        "bad checksum": _bad_checksum(world.tenant.key),
        "unknown": mint("live").plaintext,
        "unknown test key": mint("test").plaintext,
        "one byte more": world.tenant.key + "0",
        "other case": world.tenant.key.swapcase(),
        **await _dead_keys(world),
    }
    mark = world.upstream.mark()
    seen = {name: _masked(await gateway.ask(gateway.request("/proxy/k1", key))) for name, key in presented.items()}
    assert {name: answer[0] for name, answer in seen.items()} == dict.fromkeys(presented, 401)
    assert {name for name, answer in seen.items() if answer != seen["missing"]} == set()
    assert world.upstream.since(mark) == []


async def test_k1_a_valid_key_without_the_scope_is_403(gateway: RunningGateway, world: World) -> None:
    async with connected(world.database_url) as connection:
        created = await keys.create(
            connection, key_settings(), organization_id=world.tenant.organization_id, name="narrow", scopes=["cors"]
        )
    refused = await gateway.ask(gateway.request("/proxy/k1", created.plaintext))
    assert (refused.status, json.loads(refused.body)["code"]) == (403, "scope_missing")
    assert (await gateway.ask(gateway.request("/cors/k1", created.plaintext))).status == 200


async def test_k1_a_bad_checksum_never_asks_the_database(world: World) -> None:
    """With a database that takes nothing: a bad checksum is still 401 at once, and a known key still works."""
    host, _, port = world.database_url.rpartition("@")[2].partition("/")[0].partition(":")
    async with FaultProxy((host, int(port))) as proxy:
        url = world.database_url.replace(f"{host}:{port}", f"127.0.0.1:{proxy.address[1]}")
        async with running_gateway(url, world.redis_url) as gateway:
            assert (await gateway.ask(gateway.request("/proxy/k1", world.tenant.key))).status == 200
            proxy.to_server.hold()
            begun = time.monotonic()
            for _ in range(20):
                raw = gateway.request("/proxy/k1", _bad_checksum(mint("live").plaintext))
                assert (await gateway.ask(raw)).status == 401
            assert time.monotonic() - begun < 1
            assert (await gateway.ask(gateway.request("/proxy/k1", world.tenant.key))).status == 200
            async with await RawClient.connect(gateway.address) as client:
                await client.send(gateway.request("/proxy/k1", mint("live").plaintext))
                seen = await client.answers(1, 0.3)
                assert [answer.status for answer in seen.final] in ([], [503])
            proxy.to_server.release()


@pytest.mark.parametrize(
    ("lines", "status"),
    [
        (("X-API-Key: @",), 200),
        (("Authorization: Bearer @",), 200),
        (("authorization: bearer @",), 200),
        (("Authorization: BEARER   @",), 200),
        (("X-API-Key: @", "Authorization: Bearer @"), 200),
        (("X-API-Key: @", "X-API-Key: @"), 200),
        (("X-API-Key: @", "Authorization: Bearer theirs"), 200),
        (("X-API-Key: @", "Authorization: Basic dXNlcjpwYXNz"), 200),
        (("X-API-Key: @", "Authorization: Bearer $"), 400),
        (("X-API-Key: @", "X-API-Key: $"), 400),
        (("Authorization: Bearer @", "Authorization: Bearer $"), 400),
        (("X-API-Key: ",), 401),
        (("X-API-Key: ", "Authorization: Bearer @"), 400),
        (("Authorization: Bearer",), 401),
        (("Authorization: Token @",), 401),
        (("X-API-Key: @ @",), 401),
        (("X-API-Key: " + "k" * 8_000,), 401),
    ],
)
async def test_k2_one_rule_for_where_a_key_stands(
    gateway: RunningGateway, world: World, lines: tuple[str, ...], status: int
) -> None:
    """`@` is the key, `$` another tenant's. Of two different keys of ours neither is taken."""
    mark = world.upstream.mark()
    shown = [line.replace("@", world.tenant.key).replace("$", world.other.key) for line in lines]
    answer = await gateway.ask(gateway.request("/proxy/k2", "", *shown))
    assert answer.status == status
    for record in world.upstream.since(mark):
        assert world.tenant.key not in record.text
        theirs = [line for line in lines if "theirs" in line or "Basic" in line]
        assert all(line.partition(": ")[2] in record.text for line in theirs)


async def test_k2_a_key_in_an_array_parameter(gateway: RunningGateway, world: World) -> None:
    answer = await gateway.ask(gateway.request(f"/proxy/k2?apikey[]={world.tenant.key}", ""))
    assert (answer.status, json.loads(answer.body)["code"]) == (400, "key_in_query")


async def test_k3_a_known_prefix_takes_no_longer_than_a_random_one(gateway: RunningGateway, world: World) -> None:
    """Medians of interleaved requests with fresh keys. Half of the time itself is far more than noise, far less than a hash."""
    known = world.tenant.key.rpartition("_")[0]
    took: dict[str, list[float]] = {"known": [], "random": []}
    async with await RawClient.connect(gateway.address) as client:
        for number in range(2 * ROUNDS):
            kind = "known" if number % 2 else "random"
            body = f"{known}_{random_text(32)}" if kind == "known" else mint("live").plaintext[:-6]
            raw = gateway.request("/proxy/k3", body + checksum(body.encode()))
            begun = time.perf_counter()
            client.received.clear()
            await client.send(raw)
            assert (await client.answers(1)).final[0].status == 401
            took[kind].append(time.perf_counter() - begun)
    medians = {kind: statistics.median(times) for kind, times in took.items()}
    assert abs(medians["known"] - medians["random"]) < max(0.5 * min(medians.values()), 0.001), medians
