"""Who looks at jobs without end, or has a great many: others are served meanwhile, and no look goes through all of them."""

import asyncio
import json
from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from domain.async_jobs import key_reading
from tests.async_jobs import Customer, JobShop
from tests.job_rows import asynchronous_operation, write_job


async def served_beside(
    flood: list[Awaitable[Any]], ask: Callable[[], Awaitable[Any]], *, after: float, within: float
) -> tuple[Any, set[int]]:
    """What is answered beside a flood that waits, `within` seconds; and the statuses of the flood."""
    waiting = asyncio.gather(*flood)
    await asyncio.sleep(after)
    async with asyncio.timeout(within):
        served = await ask()
    return served, {one.status for one in await waiting}


async def test_looking_at_jobs_takes_no_connection_that_the_ledger_needs(shop: JobShop, customer: Customer) -> None:
    """Each of 60 looks waits for a table that is locked; a priced request of somebody else is served all the same."""
    job_id, other = await customer.start(), await shop.customer()
    async with shop.pool.acquire() as connection, connection.transaction():
        await connection.execute("lock table async_job in access exclusive mode")
        served, looks = await served_beside(
            [
                *(customer.ask("/user/jobs") for _ in range(30)),
                *(shop.call_back(job_id, status="processing") for _ in range(30)),
            ],
            lambda: other.ask("/orders/at-once/a"),
            after=0.3,
            within=1.5,
        )
    assert served.status == 202, served
    assert looks == {503}
    assert (await customer.ask("/user/jobs")).status == 200


async def test_a_list_looks_at_so_many_rows_and_says_where_to_go_on(
    shop: JobShop, customer: Customer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(key_reading, "LOOKED_AT", 10)
    async with shop.pool.acquire() as connection:
        operation = await asynchronous_operation(connection)
        wanted = await write_job(connection, customer.id, operation, ago=100, status="failed")
        for ago in range(24):
            await write_job(connection, customer.id, operation, ago=ago, status="completed")
        pages: list[Any] = []
        before = None
        for _ in range(4):
            page = await key_reading.list_jobs(connection, customer.id, (), status="failed", before=before)
            pages.append([job.id for job in page.jobs])
            before = page.following
            if before is None:
                break
        assert pages == [[], [], [wanted]]
        page = await key_reading.list_jobs(connection, customer.id, ("no:such",), most=5)
        assert (page.jobs, page.following is None) == ([], False)
        every: list[Any] = []
        before = None
        while True:
            page = await key_reading.list_jobs(connection, customer.id, (), before=before, most=5)
            every += [job.id for job in page.jobs]
            before = page.following
            if before is None:
                break
    assert len(every) == len(set(every)) == 25
    listed = json.loads((await customer.ask("/user/jobs?status=failed")).body)
    assert ([job["id"] for job in listed["jobs"]], listed["next"]) == ([str(wanted)], None)
    # Nothing in the ledger stands behind them, and other tests of this shop ask whether all that was charged does.
    await shop.pool.execute("delete from async_job where organization_id = $1", customer.id)


async def test_asking_for_jobs_takes_no_connection_that_others_need(shop: JobShop, customer: Customer) -> None:
    """Thirty jobs of one customer wait for its account; a priced request of somebody else is served all the same."""
    await customer.start()
    other = await shop.customer()
    async with shop.pool.acquire() as connection, connection.transaction():
        await connection.execute("select from credit_account where organization_id = $1 for update", customer.id)
        served, asked = await served_beside(
            [customer.ask(customer.target("flood"), method="POST", body=b"1") for _ in range(30)],
            lambda: other.ask("/orders/at-once/a"),
            after=0.2,
            within=0.8,
        )
    assert served.status == 202, served
    assert asked == {503}
    # What was given up is undone first; then jobs are taken on as before.
    async with asyncio.timeout(30):
        while (await other.ask(other.target("after"), method="POST", body=b"1")).status != 202:
            await asyncio.sleep(0.1)
