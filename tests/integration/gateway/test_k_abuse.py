"""K4, K5, K9: guessing keys, revoking them under load, and where a key must never be found."""

import asyncio
import base64
import time
from collections.abc import AsyncIterator
from typing import Any

import pytest
import redis.asyncio as redis

from domain import keys
from domain.key_format import mint
from tests.gateways import RunningGateway, connected, key_settings, make_tenant, running_gateway
from tests.integration.gateway.conftest import World
from tests.wire.raw_client import RawClient
from tests.wire.upstream import reached

CLIENTS, PAUSE, ANSWERS_BEFORE = 4, 0.02, 100


async def test_k4_guessing_is_slowed_down_and_valid_keys_are_not(strict_gateway: RunningGateway, world: World) -> None:
    """`strict_gateway` allows 20 bad keys a minute and address. A minute may turn once within the test."""
    statuses = []
    for _ in range(60):
        answer = await strict_gateway.ask(strict_gateway.request("/proxy/k4", mint("live").plaintext))
        statuses.append(answer.status)
        if answer.status == 429:
            assert 1 <= int(answer.first("retry-after")) <= 60
    assert set(statuses) == {401, 429}
    assert statuses[:15] == [401] * 15
    assert statuses.count(401) <= 2 * 20
    for _ in range(5):
        assert (await strict_gateway.ask(strict_gateway.request("/proxy/k4", world.tenant.key))).status == 200


@pytest.fixture(scope="module")
async def two_workers(world: World) -> AsyncIterator[RunningGateway]:
    async with running_gateway(world.database_url, world.redis_url, workers=2) as started:
        yield started


@pytest.mark.parametrize(("cut", "most"), [(False, 1.0), (True, 5.0)], ids=["heard", "every connection cut"])
async def test_k5_a_revoked_key_stops_under_load(
    two_workers: RunningGateway, world: World, cut: bool, most: float
) -> None:
    """About 200 rps on two workers: the last 2xx comes at most `most` seconds after the commit, and none later."""
    async with connected(world.database_url) as connection:
        key = await keys.create(connection, key_settings(), organization_id=world.tenant.organization_id, name="k5")
        seen: list[tuple[float, int]] = []
        stop = asyncio.Event()
        load = [asyncio.create_task(_load(two_workers, key.plaintext, seen, stop)) for _ in range(CLIENTS)]
        assert await reached(lambda: len(seen) >= ANSWERS_BEFORE, 10)
        if cut:
            await connection.execute(
                "select pg_terminate_backend(pid) from pg_stat_activity"
                " where datname = current_database() and pid <> pg_backend_pid()"
            )
        await keys.revoke(connection, key.record.id, organization_id=None)
        committed = time.monotonic()
        await asyncio.sleep(most + 0.5)
        stop.set()
        await asyncio.gather(*load)
    last = max(at for at, status in seen if status == 200)
    assert last - committed < most
    assert {status for at, status in seen if at > max(last, committed)} == {401}
    assert [status for at, status in seen if at < committed] == [200] * sum(at < committed for at, _ in seen)


async def _load(gateway: RunningGateway, key: str, seen: list[tuple[float, int]], stop: asyncio.Event) -> None:
    """One client on kept connections, 50 requests a second; an answer counts at the time when it came."""
    while not stop.is_set():
        async with await RawClient.connect(gateway.address) as client:
            for _ in range(20):
                client.received.clear()
                await client.send(gateway.request("/proxy/k5", key))
                final = (await client.answers(1)).final
                if stop.is_set() or not final:
                    break
                seen.append((time.monotonic(), final[0].status))
                await asyncio.sleep(PAUSE)


async def test_k9_a_key_is_nowhere_after_it_was_used(world: World) -> None:
    """Used in every way, good and bad, then looked for in the whole database, Redis, the log and all answers."""
    async with (
        connected(world.database_url) as connection,
        running_gateway(world.database_url, world.redis_url, LOG_LEVEL="DEBUG") as gateway,
    ):
        canary = (await make_tenant(connection, "canary")).key
        answers = [await gateway.ask(raw) for raw in _uses(gateway, canary)]
        assert {200, 400, 401} <= {answer.status for answer in answers}
        await _logged(connection, answers[-1].first("x-request-id"))
        stores = {
            "PostgreSQL": await _database_text(connection),
            "Redis": await _redis_text(world.redis_url),
            "answers": "".join(answer.text + answer.body.decode("latin-1") for answer in answers),
            "metrics": await _metrics(gateway),
        }
        await gateway.stop()
        stores["log"] = gateway.log
    secret = canary.rpartition("_")[2]
    forms = [secret, secret[:32], base64.b64encode(canary.encode()).decode().rstrip("="), canary.encode().hex()]
    assert [(name, form) for name, text in stores.items() for form in forms if form in text] == []
    # The search itself works: what may be shown of the key is there.
    assert canary.split("_")[2] in stores["PostgreSQL"]
    assert all(len(text) > 100 for text in stores.values())


async def _logged(connection: Any, request_id: str) -> None:
    """Wait until a request, and so every one before it, is in the request log."""
    deadline = time.monotonic() + 10
    while not await connection.fetchval("select count(*) from request_log where id = $1", request_id):
        assert time.monotonic() < deadline, request_id
        await asyncio.sleep(0.05)


def _uses(gateway: RunningGateway, key: str) -> list[bytes]:
    """Requests that carry the key where it belongs, and where it does not."""
    encoded = "".join(f"%{byte:02x}" for byte in key.encode())
    return [
        gateway.request("/proxy/k9", key),
        gateway.request("/proxy/k9", "", f"Authorization: Bearer {key}"),
        gateway.request("/user/usage", key),
        gateway.request(f"/proxy/k9?api_key={key}", ""),
        gateway.request(f"/proxy/k9?x={encoded}", key),
        gateway.request(f"/proxy/k9/{key}", key),
        gateway.request(f"/proxy/k9/{key}", ""),
        gateway.request(f"/no-such/{key}", key),
        gateway.request("/proxy/k9", "", f"Authorization: Basic {base64.b64encode(key.encode()).decode()}"),
        gateway.request("/proxy/k9", key, f"User-Agent: curl {key}", f"Referer: http://a/?key={key}"),
        gateway.request("/proxy/k9", key[:-1] + "!"),
        gateway.request("/proxy/../k9", key),
        gateway.request("/proxy/k9", key, "Expect: bogus"),
        gateway.request("/limited/k9", key, method="POST", body=b"z" * 5_000),
        gateway.request("/proxy/k9", f"{key}, {key}"),
        gateway.request("/proxy/k9", key, f"Cookie: key={key}"),
    ]


async def _database_text(connection: Any) -> str:
    """Every row of every table as text, but of tables that are another session's own: those nobody else can read."""
    tables = await connection.fetch(
        "select format('%I.%I', schemaname, tablename) from pg_tables"
        " where schemaname not in ('pg_catalog', 'information_schema') and schemaname not like 'pg_temp%'"
    )
    rows = [row[0] for (table,) in tables for row in await connection.fetch(f"select t::text from {table} t")]
    return "\n".join(rows)


async def _redis_text(url: str) -> str:
    """Every key with its serialised value."""
    async with redis.Redis.from_url(url) as client:
        parts = [b"#" * 101]
        async for name in client.scan_iter():
            parts += [name, await client.dump(name) or b""]
    return b"\n".join(parts).decode("latin-1")


async def _metrics(gateway: RunningGateway) -> str:
    """The page of the internal port."""
    async with await RawClient.connect(gateway.internal_address) as client:
        await client.send(b"GET /metrics HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
        await client.ended()
        return bytes(client.received).decode()
