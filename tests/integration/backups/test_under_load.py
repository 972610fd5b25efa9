"""A backup is made under load, the database is lost, and a fresh server is restored: with the gateways' journals everything
that was answered is there, once; without them everything of the backup's moment is.
"""

import asyncio
import contextlib
import json
import os
import signal
import time
from pathlib import Path

import pytest

from cli.supervisor.services import EmbeddedServices
from domain import operations
from domain.credits.reconciling import reconcile
from domain.ingesting.grains import EVERY
from tests.backups import Load, command, ordinary_database
from tests.gateways import RunningGateway, Tenant, connected, make_service, make_tenant
from tests.integration.domain.credits.accounts import account, bonus, posted
from tests.wire.upstream import RecordingUpstream

CREDITS = 1_000_000
PRICE = 1_000
LOADED_SECONDS = 1.0

pytestmark = [pytest.mark.slow, pytest.mark.timeout(300)]


class Instance:
    """One gateway on a database, the folder of its journals, a paying tenant."""

    def __init__(self, database_url: str, redis_url: str, folder: Path) -> None:
        self.redis_url, self.state = redis_url, folder / "state"
        self.gateway = RunningGateway(database_url, redis_url, 2, GATEWAY_STATE_DIR=str(self.state))
        self.load: Load
        self.tenant: Tenant

    async def furnish(self, upstream_port: int) -> None:
        async with connected(self.gateway.database_url) as connection:
            self.tenant = await make_tenant(connection, "payer")
            await posted(connection, bonus(self.tenant.organization_id, 1_000 * CREDITS))
            await make_service(connection, "paid", "/paid", upstream_port)
            await operations.create(
                connection, service_slug="paid", method="*", path_pattern="/*", name="any", price_micro=PRICE
            )

    async def saved_under_load(self, file: Path, *options: str) -> int:
        """Backup in the middle of the load, SIGKILL for all of the gateway at its end; the rows of the log in the backup."""
        await self.gateway.start()
        async with Load(self.gateway, self.tenant) as self.load:
            await asyncio.sleep(LOADED_SECONDS)
            saved = (await command(self.gateway.database_url, "backup", file, "--json", *options)).data
            await asyncio.sleep(LOADED_SECONDS)
            os.killpg(self.gateway.pid, signal.SIGKILL)
        await self.gateway.stop()
        assert saved["logs"] is (not options)
        return saved["rows"]


@pytest.fixture
async def instance(fresh_database_url, redis_url, tmp_path):
    upstream = RecordingUpstream().start()
    made = Instance(fresh_database_url, redis_url, tmp_path)
    await made.furnish(upstream.port)
    yield made
    await made.gateway.stop()
    made.gateway.forget()
    upstream.stop()


async def logged(database_url: str) -> list[str]:
    async with connected(database_url) as connection:
        return [str(row["id"]) for row in await connection.fetch("select id from request_log where status = 200")]


async def test_journals_bring_back_what_is_newer_than_the_backup(instance, tmp_path):
    file = tmp_path / "backup.zip"
    await instance.saved_under_load(file)
    assert len(instance.load.answered) > 50
    with EmbeddedServices(tmp_path / "fresh") as fresh:
        async with ordinary_database(fresh.database_url, "app") as url:
            restored = (await command(url, "restore", file, "--json")).data
            assert restored["drifts"] == []
            assert restored["left_out"] == []
            assert restored["open_holders"] >= 1
            there = set(await logged(url))
            # The backup is older than the end of the load: else this test shows nothing.
            assert there < instance.load.answered

            async with running(url, fresh.redis_url, instance.state) as after:
                deadline = time.monotonic() + 60
                while len(await logged(url)) < len(instance.load.answered):
                    assert time.monotonic() < deadline, "the journals are not stored"
                    await asyncio.sleep(0.1)
                answer = await after.ask(after.request("/paid/again", instance.tenant.key))
                assert answer.status == 200
            found = await logged(url)
            assert len(found) == len(set(found))
            # What was answered when the kill came may be in the journal though its caller never read it.
            assert instance.load.answered | set(answer.values("x-request-id")) <= set(found)
            await everything_adds_up(url, instance.tenant)
            doctor = await command(url, "doctor", "--json", REDIS_URL=fresh.redis_url)
            # The tests' own pepper is a pattern, which doctor says.
            failed = {finding["subject"] for finding in json.loads(doctor.out) if finding["status"] == "fail"}
            assert failed <= {"pepper"}


async def test_without_the_journals_all_of_the_backups_moment_is_there(instance, tmp_path):
    file = tmp_path / "backup.zip"
    await instance.saved_under_load(file, "--without-logs")
    with EmbeddedServices(tmp_path / "fresh") as fresh:
        async with ordinary_database(fresh.database_url, "app") as url:
            restored = (await command(url, "restore", file, "--journals-lost", "--json")).data
            assert restored["drifts"] == []
            await everything_adds_up(url, instance.tenant)
            async with connected(url) as connection:
                assert not await connection.fetchval("select count(*) from credit_holder where closed_at is null")
            async with running(url, fresh.redis_url, tmp_path / "new disk") as after:
                answer = await after.ask(after.request("/paid/again", instance.tenant.key))
                assert answer.status == 200
            await everything_adds_up(url, instance.tenant)


@contextlib.asynccontextmanager
async def running(url, redis_url, state):
    gateway = RunningGateway(url, redis_url, 1, GATEWAY_STATE_DIR=str(state))
    await gateway.start()
    try:
        yield gateway
    finally:
        await gateway.stop()
        gateway.forget()


async def everything_adds_up(url: str, tenant: Tenant) -> None:
    """The ledger, what is leased, and the rollups against the rows: all requests here were priced, and all are logged."""
    async with connected(url) as connection:
        assert (await reconcile(connection)).drifts == []
        stands = await account(connection, tenant.organization_id)
        rows, cost = await connection.fetchrow("select count(*), coalesce(sum(cost_micro), 0) from request_log")
        assert stands["usage"] == cost == rows * PRICE
        assert stands["leased"] == stands["reserved"] == 0
        for table, which in (("usage_rollup", "true"), ("usage_summary", SUMMARY_OF_ALL)):
            folded = await connection.fetchval(
                f"select coalesce(sum(requests), 0) from {table} where grain = 'day' and {which}"
            )
            assert folded + await connection.fetchval(UNFOLDED) == rows, table


SUMMARY_OF_ALL = f"service_id = '{EVERY}' and organization_id <> '{EVERY}'"
UNFOLDED = "select count(*) from request_log where created_at in (select stored_at from usage_unfolded)"
