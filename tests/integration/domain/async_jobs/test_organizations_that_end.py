"""Jobs and their organizations: suspended, closed, with a key that was revoked; and what of ended jobs is kept how long."""

import asyncio
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID, uuid4

import pytest

from domain import audit
from domain.async_jobs.accepting import Wanted, accept
from domain.async_jobs.ending import completed, end
from domain.async_jobs.sweeping import delete_ended, drop_results, sweep, sweep_thoroughly
from domain.closing import close
from domain.credits.reconciling import reconcile
from domain.partitions import ensure_partitions
from domain.refusals import InvalidKey, OrganizationSuspended
from tests.gateways import Tenant, make_tenant
from tests.integration.domain.credits.accounts import account, bonus, posted
from tests.job_rows import asynchronous_operation, write_job

PRICE = 2_000_000
OPERATOR = audit.Actor("operator", 1, "them")


@pytest.fixture
async def connection(pool: Any):
    async with pool.acquire() as one:
        yield one


@pytest.fixture
async def tenant(connection: Any) -> Tenant:
    made = await make_tenant(connection, f"ends-{uuid4().hex[:12]}")
    await posted(connection, bonus(made.organization_id, 5 * PRICE))
    return made


def wanted_by(tenant: Tenant, seconds: float = 600) -> Wanted:
    ids = [uuid4() for _ in range(4)]
    return Wanted(
        ids[0], tenant.organization_id, tenant.key_id, ids[1], ids[2], ids[3], PRICE, "POST", "/", b"", b"{}", seconds
    )


async def row(connection: Any, job_id: UUID) -> Any:
    return await connection.fetchrow("select * from async_job where id = $1", job_id)


async def reserved(connection: Any, tenant: Tenant) -> int:
    return int((await account(connection, tenant.organization_id))["reserved"])


@pytest.mark.parametrize("state", ["suspended", "closed"])
async def test_no_job_is_taken_on_for_who_was_just_suspended_or_closed(
    connection: Any, tenant: Tenant, state: str
) -> None:
    await connection.execute("update organization set state = $2 where id = $1", tenant.organization_id, state)
    with pytest.raises(OrganizationSuspended):
        await accept(connection, wanted_by(tenant), None, recall=False)
    assert await reserved(connection, tenant) == 0


async def test_no_job_is_taken_on_for_a_key_that_was_just_revoked(connection: Any, tenant: Tenant) -> None:
    await connection.execute("update api_key set revoked_at = now() where id = $1", tenant.key_id)
    with pytest.raises(InvalidKey):
        await accept(connection, wanted_by(tenant), None, recall=False)
    assert await reserved(connection, tenant) == 0


async def test_a_job_that_is_being_taken_on_while_its_organization_is_closed_is_cancelled(
    pool: Any, connection: Any, tenant: Tenant
) -> None:
    async def end() -> None:
        async with pool.acquire() as other, other.transaction():
            await close(other, tenant.organization_id, OPERATOR, reason="the end")

    wanted = wanted_by(tenant)
    async with connection.transaction():
        assert (await accept(connection, wanted, None, recall=False)).done
        closing = asyncio.create_task(end())
        await asyncio.sleep(0.3)
        assert not closing.done(), "it would not see this job"
    await closing
    found = await row(connection, wanted.id)
    assert (found["status"], found["reason"], found["body"], found["fields"]) == ("failed", "cancelled", None, None)
    assert await reserved(connection, tenant) == 0


async def test_a_job_that_comes_behind_the_closing_is_not_taken_on(pool: Any, connection: Any, tenant: Tenant) -> None:
    async def take() -> None:
        async with pool.acquire() as other:
            await accept(other, wanted_by(tenant), None, recall=False)

    async with connection.transaction():
        await close(connection, tenant.organization_id, OPERATOR, reason="the end")
        taking = asyncio.create_task(take())
        await asyncio.sleep(0.3)
        assert not taking.done()
    with pytest.raises(OrganizationSuspended):
        await taking
    assert await reserved(connection, tenant) == 0


async def test_what_a_suspended_organization_has_waiting_ends_at_its_deadline(connection: Any, tenant: Tenant) -> None:
    wanted = wanted_by(tenant)
    await accept(connection, wanted, None, recall=False)
    await connection.execute("update organization set state = 'suspended' where id = $1", tenant.organization_id)
    await sweep_thoroughly(connection)
    assert ((await row(connection, wanted.id))["status"], await reserved(connection, tenant)) == ("pending", PRICE)
    await connection.execute("update async_job set deadline = now() where id = $1", wanted.id)
    await sweep(connection)
    assert ((await row(connection, wanted.id))["reason"], await reserved(connection, tenant)) == ("overdue", 0)


async def test_what_is_open_of_an_organization_that_plain_sql_closed_is_cancelled(
    connection: Any, tenant: Tenant
) -> None:
    wanted = wanted_by(tenant)
    await accept(connection, wanted, None, recall=False)
    await connection.execute("update organization set state = 'closed' where id = $1", tenant.organization_id)
    assert await sweep_thoroughly(connection) >= 1
    assert ((await row(connection, wanted.id))["reason"], await reserved(connection, tenant)) == ("cancelled", 0)


async def ended(connection: Any, tenant: Tenant, operation: Any, days: float, **columns: Any) -> UUID:
    at = datetime.now(UTC) - timedelta(days=days)
    return await write_job(
        connection, tenant.organization_id, operation,
        **{"status": "completed", "charged_micro": 0, "result": b"1", "ended_at": at, **columns},
    )  # fmt: skip


async def left(connection: Any, tenant: Tenant) -> set[UUID]:
    rows = await connection.fetch("select id from async_job where organization_id = $1", tenant.organization_id)
    return {row["id"] for row in rows}


async def test_ended_jobs_are_deleted_when_they_are_old_and_their_charge_is_counted(
    connection: Any, tenant: Tenant
) -> None:
    operation = await asynchronous_operation(connection)
    old = await ended(connection, tenant, operation, 100)
    new = await ended(connection, tenant, operation, 80)
    uncounted = await ended(connection, tenant, operation, 100, charged_micro=1, counted=False)
    open_ = await write_job(connection, tenant.organization_id, operation, ago=100 * 86_400)
    assert await delete_ended(connection, datetime.now(UTC), 90) >= 1
    assert await left(connection, tenant) == {new, uncounted, open_}, old
    await connection.execute("update async_job set counted = true where id = $1", uncounted)
    assert await delete_ended(connection, datetime.now(UTC), 90) == 1
    assert await delete_ended(connection, datetime.now(UTC), 90) == 0
    await connection.execute("delete from async_job where organization_id = $1", tenant.organization_id)


async def test_the_proof_of_the_ledger_holds_when_a_charged_job_is_deleted(connection: Any, tenant: Tenant) -> None:
    """While the logs of its day are kept its charge is compared with it, so it stays as long."""
    wanted = wanted_by(tenant)
    await accept(connection, wanted, None, recall=False)
    await end(connection, wanted.id, lambda _: completed(b"1", "text/plain"))
    await connection.execute("update async_job set counted = true where id = $1", wanted.id)
    changed = connection.transaction()
    await changed.start()
    await ensure_partitions(connection, datetime.now(UTC).date(), datetime.now(UTC).date())
    assert await delete_ended(connection, datetime.now(UTC) + timedelta(days=400), 90) == 0
    assert await left(connection, tenant) == {wanted.id}
    await changed.rollback()
    mine = [drift for drift in (await reconcile(connection)).drifts if drift.organization_id == tenant.organization_id]
    assert mine == []


async def test_results_and_jobs_of_a_closed_organization_go_with_its_logs(connection: Any, tenant: Tenant) -> None:
    operation = await asynchronous_operation(connection)
    before = await ended(connection, tenant, operation, 20)
    today = await ended(connection, tenant, operation, 0)
    kept = connection.transaction()
    await kept.start()
    await ensure_partitions(connection, datetime.now(UTC).date() - timedelta(days=3), datetime.now(UTC).date())
    assert (await row(connection, today))["result"] == b"1"
    await close(connection, tenant.organization_id, OPERATOR, reason="the end")
    await drop_results(connection, datetime.now(UTC), 365)
    await delete_ended(connection, datetime.now(UTC), 365)
    assert await left(connection, tenant) == {today}, before
    found = await row(connection, today)
    assert (found["result"], found["result_dropped_at"] is None) == (None, False)
    await kept.rollback()
