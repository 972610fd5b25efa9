"""The whole way: a call through a real gateway is in ClickHouse soon, once; commands, /ready, /metrics and doctor tell it."""

import asyncio
import json
import re
from datetime import UTC, datetime, timedelta

import asyncpg
import pytest

from domain.log_store.outbox import left
from domain.partitions import today
from domain.settings import load_settings
from jobs import log_partitions
from jobs.work import Work
from tests.backups import command
from tests.clickhouse.moving import send_all
from tests.gateways import PEPPERS, make_service, make_tenant, running_gateway
from tests.request_rows import write_request
from tests.snapshots import log_row, store
from tests.wire.raw_client import RawClient
from tests.wire.upstream import RecordingUpstream

COUNT = "select count(), uniqExact(id) from request_log where path like '/proxy/%'"


@pytest.fixture
async def tenant(database):
    upstream = RecordingUpstream().start()
    await make_service(database, "plain", "/proxy", upstream.port)
    yield await make_tenant(database, "acme", amount=150)
    upstream.stop()


async def metrics_of(gateway) -> str:
    async with await RawClient.connect(gateway.internal_address) as client:
        await client.send(b"GET /metrics HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
        await client.ended()
        return bytes(client.received).decode()


async def test_calls_of_a_real_gateway_are_in_clickhouse_and_every_command_finds_them(
    database, fresh_database_url, redis_url, log_store_url, log_store, tenant
):
    done = await command(fresh_database_url, "migrate", "--json", LOG_STORE_URL=log_store_url)
    assert done.status == 0, done.err
    assert done.data["log_store"] == {"versions": 2, "new": True, "adopted": 0}
    async with running_gateway(fresh_database_url, redis_url, LOG_STORE_URL=log_store_url) as gateway:
        for _ in range(20):
            assert (await gateway.ask(gateway.request("/proxy/a", tenant.key))).status == 200
        async with asyncio.timeout(30):
            while await log_store.rows(COUNT) != [[20, 20]]:
                await asyncio.sleep(0.1)
            while not re.search(r"log_store_rows_sent(_total)? 20(\.0)?\n", await metrics_of(gateway)):
                await asyncio.sleep(0.2)
        ready = json.loads((await gateway.ask(gateway.request("/ready", ""))).body)
        assert "log store" not in json.dumps(ready)
    async with asyncio.timeout(10):
        while (await left(database)).batches:
            await asyncio.sleep(0.1)
    await database.execute("delete from request_log")
    found = await command(fresh_database_url, "logs", "list", "--json", LOG_STORE_URL=log_store_url)
    assert len(found.data) == 20
    assert {row["organization"] for row in found.data} == {"acme"}
    told = await command(
        fresh_database_url, "logs", "explain", found.data[0]["id"], "--json", LOG_STORE_URL=log_store_url
    )
    assert (told.data["admitted"], told.data["traced"]) == (True, True)
    assert (await command(fresh_database_url, "logs", "list", "--json")).data == []


async def test_status_adopt_rewind_and_off(database, fresh_database_url, log_store_url, turned_on):
    async def run(*words):
        return await command(fresh_database_url, "log-store", *words, LOG_STORE_URL=log_store_url)

    await store(database, [log_row() for _ in range(3)])
    await write_request(database, None)
    assert (await run("adopt", "--json")).data == {"rows": 1}
    status = (await run("status", "--json")).data
    assert (status["on"], status["ready"], status["waiting"]["rows"]) == (True, True, 4)
    await send_all(database, turned_on)
    text = (await run("status")).out
    assert f"Days there: {today()}" in text
    assert "logs:" not in text
    assert (await run("rewind", "--since", "5m")).status == 0
    assert await send_all(database, turned_on) == 4
    assert await turned_on.rows("select count(), uniqExact(id) from request_log") == [[4, 4]]
    assert (await run("off")).status == 1
    assert (await run("off", "--yes")).out == "Request logs go to PostgreSQL alone.\n"
    assert (await run("rewind", "--since", "5m")).status == 1
    unset = await command(fresh_database_url, "log-store", "status")
    assert unset.status == 1
    assert "LOG_STORE_URL is not set" in unset.err


async def test_doctor_says_what_is_wrong_with_the_log_store(database, fresh_database_url, log_store_url, turned_on):
    async def lines(**environment):
        done = await command(fresh_database_url, "doctor", "--json", KEY_PEPPERS=PEPPERS, **environment)
        return {one["subject"]: one for one in json.loads(done.out) if one["subject"].startswith("log store")}

    well = await lines(LOG_STORE_URL=log_store_url)
    assert {subject: one["status"] for subject, one in well.items()} == {"log store": "ok", "log store lag": "ok"}
    unset = await lines()
    assert unset["log store"]["status"] == "fail"
    assert "LOG_STORE_URL is not set" in unset["log store"]["detail"]
    away = await lines(LOG_STORE_URL="clickhouse://logs:hush-hush@127.0.0.1:1/logs")
    assert away["log store"]["status"] == "fail"
    wrong = await lines(LOG_STORE_URL=log_store_url.replace("logs:", "nobody:"))
    assert "Authentication failed" in wrong["log store"]["detail"]
    assert "hush" not in json.dumps(away)
    await store(database, [log_row()])
    await database.execute("update log_outbox set stored_at = stored_at - interval '5 minutes'")
    assert (await lines(LOG_STORE_URL=log_store_url))["log store lag"]["status"] == "warn"
    await database.execute("delete from log_outbox; delete from log_store")
    assert (await lines(LOG_STORE_URL=log_store_url))["log store"]["status"] == "fail"
    assert await lines() == {}


async def test_the_job_lets_days_go_here_and_there(
    database, fresh_database_url, redis_url, log_store_url, turned_on, monkeypatch
):
    monkeypatch.setenv("DATABASE_URL", fresh_database_url)
    monkeypatch.setenv("LOG_STORE_URL", log_store_url)
    for days in (0, 1, 2, 9):
        await write_request(database, None, ago=timedelta(days=days), total_us=days)
    async with asyncpg.create_pool(fresh_database_url, min_size=1, max_size=2) as pool:
        work = Work(pool, None, load_settings(), clock=lambda: datetime.now(UTC))
        first = await log_partitions.run(work)
        assert first["dropped"] == []
        assert len(first["kept"]) == 2
        await send_all(database, turned_on)
        second = await log_partitions.run(work)
    days = [(today() - timedelta(days=days)).isoformat() for days in (9, 2)]
    assert second["dropped"] == days
    assert second["log_store"] == {"dropped": days[:1], "kept": {}}
    assert await turned_on.rows("select total_us from request_log order by at") == [[2], [1], [0]]
    assert await database.fetchval("select count(*) from request_log") == 2
