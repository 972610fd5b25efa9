"""The whole way: a call through a real gateway is in the log soon, once, and nothing is left behind on a stop."""

import asyncio
import json
import os
import signal
import subprocess
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import asyncpg
import pytest

from loadtests.processes import children
from tests.deadlines import until
from tests.gateways import ROOT, RunningGateway, Tenant, connected, make_service, make_tenant, running_gateway
from tests.wire.upstream import RecordingUpstream


@pytest.fixture
async def database(fresh_database_url) -> AsyncIterator[asyncpg.Connection]:
    async with connected(fresh_database_url) as connection:
        yield connection


@pytest.fixture
async def tenant(database) -> AsyncIterator[Tenant]:
    upstream = RecordingUpstream().start()
    await make_service(database, "plain", "/proxy", upstream.port)
    yield await make_tenant(database, "acme", amount=150)
    upstream.stop()


@pytest.fixture
async def gateway(fresh_database_url, redis_url, tenant) -> AsyncIterator[RunningGateway]:
    async with running_gateway(fresh_database_url, redis_url, workers=2) as started:
        yield started


async def rows_of(database, wanted: int, seconds: float = 10.0) -> list[asyncpg.Record]:
    query = "select id, status, outcome, decision from request_log where path like '/proxy/%' order by at"
    async with asyncio.timeout(seconds):
        while len(rows := await database.fetch(query)) < wanted:
            await asyncio.sleep(0.01)
    assert len(rows) == wanted == len({row["id"] for row in rows})
    return rows


async def test_a_call_is_in_the_log_soon_and_explained(database, gateway, tenant, fresh_database_url, tmp_path):
    answer = await gateway.ask(gateway.request("/proxy/x", tenant.key))
    begun = asyncio.get_running_loop().time()
    row = (await rows_of(database, 1))[0]
    assert asyncio.get_running_loop().time() - begun < 2
    assert str(row["id"]) == answer.first("x-request-id")
    done = subprocess.run(
        [sys.executable, "-m", "cli.main", "logs", "explain", str(row["id"]), "--json"],
        env={**os.environ, "PYTHONPATH": str(ROOT), "DATABASE_URL": fresh_database_url},
        cwd=tmp_path, check=True, capture_output=True, text=True, timeout=60,
    )  # fmt: skip
    told = json.loads(done.stdout)
    assert told["admitted"]
    assert told["plan"] == "plan-acme"
    assert [limit["amount"] for limit in told["limits"]] == [150]
    ready = await gateway.ask(gateway.request("/ready", ""))
    assert json.loads(ready.body)["request_log"]["lag_seconds"] < 2


async def test_every_answer_is_recorded_once_though_workers_and_ingester_are_killed(database, gateway, tenant):
    answered: list[str] = []

    async def call() -> None:
        try:
            answer = await gateway.ask(gateway.request("/proxy/y", tenant.key))
        except (OSError, LookupError):
            return
        answered.append(answer.first("x-request-id"))

    for turn in range(6):
        await asyncio.gather(*[call() for _ in range(20)])
        victims = children(gateway.pid, "gateway.ingester" if turn % 2 else "gateway.server.worker")
        for victim in victims[:1]:
            os.kill(victim, signal.SIGKILL)
    assert await gateway.stop() == 0
    rows = await database.fetch("select id from request_log where path = '/proxy/y'")
    found = {str(row["id"]) for row in rows}
    assert len(found) == len(rows)
    assert set(answered) <= found
    assert len(answered) >= 100


async def test_a_stop_leaves_no_journal(database, gateway, tenant):
    await asyncio.gather(*[gateway.ask(gateway.request("/proxy/z", tenant.key)) for _ in range(100)])
    folder = Path(gateway.environment["GATEWAY_STATE_DIR"]) / "journal"
    assert await gateway.stop() == 0
    await rows_of(database, 100)
    assert not list(folder.glob("*/*.seg"))
    assert await database.fetchval("select sum(requests) from usage_rollup where grain = 'day'") >= 100


async def test_the_ingester_goes_on_for_orphans(database, gateway, tenant):
    folder = Path(gateway.environment["GATEWAY_STATE_DIR"]) / "journal"
    # One that only begins when its supervisor dies ends at once; then the next start stores what is there.
    await until((folder / "ingester.json").exists, 30)
    assert (await gateway.ask(gateway.request("/proxy/o", tenant.key))).status == 200
    gateway.signal(signal.SIGKILL)
    await rows_of(database, 1)
    await until(lambda: {path.name for path in folder.iterdir()} <= {"node", "ingester.held", "ingester.json"}, 30)
