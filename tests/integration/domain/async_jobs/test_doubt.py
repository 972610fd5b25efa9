"""Workers that do not know, or are not known any more: what they begin comes about once, or not at all."""

import asyncio
from typing import Any
from uuid import UUID, uuid4

import pytest

from domain.async_jobs.accepting import Kept, Wanted, accept
from domain.async_jobs.ending import withdraw
from domain.refusals import CannotDecide
from domain.replays import Claim, Outcome, claim, close_running
from tests.integration.domain.credits.accounts import account, bonus, new_organization, posted

PRICE = 5


def wanted(owner: UUID) -> Wanted:
    return Wanted(uuid4(), owner, uuid4(), uuid4(), uuid4(), uuid4(), PRICE, "POST", "/", b"sealed", b"body", 3_600)


@pytest.fixture
async def owner(pool: Any) -> UUID:
    async with pool.acquire() as connection:
        made = await new_organization(connection)
        await posted(connection, bonus(made, 100))
    return made


async def test_a_job_that_is_being_stored_while_it_is_withdrawn_is_withdrawn(pool: Any, owner: UUID) -> None:
    """A COMMIT that the server is slow with: the worker has lost its connection, and looks for what it began."""
    job = wanted(owner)
    async with pool.acquire() as storing, pool.acquire() as looking:
        slow = storing.transaction()
        await slow.start()
        assert (await accept(storing, job, None, recall=False)).done
        undoing = asyncio.create_task(withdraw(looking, owner, job.id, job.request_id))
        await asyncio.wait((undoing,), timeout=0.3)
        await slow.commit()
        assert await undoing is True
        row = await looking.fetchrow("select status, reason from async_job where id = $1", job.id)
        assert tuple(row) == ("failed", "withdrawn")
        assert (await account(looking, owner))["reserved"] == 0


async def test_a_worker_that_has_lost_its_claim_stores_no_second_job(pool: Any, owner: UUID) -> None:
    """It slept so long that its holder was closed and its Idempotency-Key given to a repeat."""
    slept, repeat, printed = wanted(owner), wanted(owner), b"p" * 32
    kept = Kept(Outcome(printed, 202, (), b"{}"), 1)
    async with pool.acquire() as connection:
        holders = uuid4(), uuid4()
        for holder, job in zip(holders, (slept, repeat), strict=True):
            mine = Claim(job.request_id, owner, job.operation_id, "key", printed)
            assert await claim(connection, holder, mine, 1) is None
            if job is slept:
                await close_running(connection, [holder])
        assert (await accept(connection, repeat, kept, recall=False)).done
        with pytest.raises(CannotDecide):
            await accept(connection, slept, kept, recall=False)
        assert await connection.fetchval("select count(*) from async_job where organization_id = $1", owner) == 1
        assert (await account(connection, owner))["reserved"] == PRICE
