"""Whose job is sent next, where a service has fewer places than jobs that wait for them."""

from collections import Counter
from typing import Any
from uuid import UUID

import pytest

from domain.async_jobs.claiming import claim_due, note_later
from domain.async_jobs.ending import end_overdue
from domain.credits.posting import lock_accounts
from tests.integration.domain.credits.accounts import account, bonus, new_organization, posted
from tests.job_rows import asynchronous_operation, write_job


@pytest.fixture
async def connection(pool: Any):
    async with pool.acquire() as one:
        yield one


class Queue:
    """A service with so many places, and jobs that wait for them."""

    def __init__(self, connection: Any, operation: Any, service_id: UUID) -> None:
        self.connection, self.operation, self.service_id = connection, operation, service_id

    @classmethod
    async def of(cls, connection: Any, places: int) -> "Queue":
        operation = await asynchronous_operation(connection)
        service_id = await connection.fetchval(
            "update service set job_concurrency = $2 where slug = $1 returning id", operation.service_slug, places
        )
        return cls(connection, operation, service_id)

    async def add(self, owner: UUID, jobs: int, *, ago: float = 0) -> None:
        for number in range(jobs):
            job_id = await write_job(self.connection, owner, self.operation, fields=b"", body=b"", price_micro=0)
            await self.connection.execute(
                "update async_job set due_at = now() - $2 * interval '1 second' where id = $1",
                job_id,
                ago + jobs - number,
            )

    async def claim(self, most: int = 20) -> list[Any]:
        return await claim_due(self.connection, self.service_id, most)

    async def end(self, claims: list[Any]) -> None:
        await self.connection.execute(
            "update async_job set status = 'completed', ended_at = now(), due_at = null, working = false, fields = null,"
            " body = null where id = any($1::uuid[])",
            [claim.id for claim in claims],
        )


def owners_of(claims: list[Any]) -> Counter[UUID]:
    return Counter(claim.organization_id for claim in claims)


async def test_who_has_most_waiting_takes_no_more_places_than_others(connection: Any) -> None:
    queue = await Queue.of(connection, 6)
    many, few, late = [await new_organization(connection) for _ in range(3)]
    await queue.add(many, 100, ago=1_000)
    await queue.add(few, 3, ago=10)
    await queue.add(late, 1)
    first = await queue.claim()
    assert owners_of(first) == {many: 3, few: 2, late: 1} or owners_of(first) == {many: 2, few: 3, late: 1}
    assert await queue.claim() == [], "all places are taken"


async def test_a_place_goes_to_who_has_the_fewest_at_work(connection: Any) -> None:
    queue = await Queue.of(connection, 4)
    many, late = [await new_organization(connection) for _ in range(2)]
    await queue.add(many, 100, ago=1_000)
    first = await queue.claim()
    assert owners_of(first) == {many: 4}
    await queue.add(late, 3)
    await queue.end(first[:1])
    assert owners_of(await queue.claim()) == {late: 1}
    await queue.end(first[1:2])
    assert owners_of(await queue.claim()) == {late: 1}, "two at work against one: the next is the other's"
    await queue.end(first[2:3])
    assert owners_of(await queue.claim()) == {many: 1}, "one at work against two"


async def test_the_oldest_of_an_organization_goes_first(connection: Any) -> None:
    queue = await Queue.of(connection, 0)
    owner = await new_organization(connection)
    await queue.add(owner, 9, ago=5)
    oldest = await connection.fetch("select id from async_job where service_id = $1 order by due_at", queue.service_id)
    claimed = [claim.id for _ in range(3) for claim in await queue.claim(3)]
    assert [set(claimed[at : at + 3]) for at in (0, 3, 6)] == [
        {row["id"] for row in oldest[at : at + 3]} for at in (0, 3, 6)
    ]


async def test_what_is_sent_again_keeps_its_place_and_no_organization_all_turns(connection: Any) -> None:
    """Where every answer of one organization is lost, another's jobs are sent all the same."""
    queue = await Queue.of(connection, 0)
    lost, other = [await new_organization(connection) for _ in range(2)]
    await queue.add(lost, 8)
    for claim in await queue.claim():
        await note_later(connection, claim, "broke", at_work=True)
    await connection.execute("update async_job set due_at = now() where service_id = $1", queue.service_id)
    await queue.add(other, 8)
    assert owners_of(await queue.claim(4)) == {lost: 2, other: 2}


async def test_a_service_without_a_place_sends_again_what_has_one(connection: Any) -> None:
    queue = await Queue.of(connection, 2)
    owner = await new_organization(connection)
    await queue.add(owner, 5)
    had = {claim.id for claim in await queue.claim()}
    await connection.execute("update async_job set due_at = now() where id = any($1::uuid[])", list(had))
    assert {claim.id for claim in await queue.claim()} == had


async def test_a_suspended_organization_keeps_its_jobs_and_no_turn(connection: Any) -> None:
    queue = await Queue.of(connection, 2)
    away, here = [await new_organization(connection) for _ in range(2)]
    await queue.add(away, 5, ago=100)
    await queue.add(here, 5)
    await connection.execute("update organization set state = 'suspended' where id = $1", away)
    first = await queue.claim()
    assert owners_of(first) == {here: 2}
    await queue.end(first)
    await connection.execute("update organization set state = 'active' where id = $1", away)
    assert owners_of(await queue.claim()) == {away: 1, here: 1}


async def test_overdue_jobs_of_a_locked_account_keep_nobody_elses_from_ending(pool: Any, connection: Any) -> None:
    queue = await Queue.of(connection, 0)
    locked, free = [await new_organization(connection) for _ in range(2)]
    for owner in (locked, free):
        await posted(connection, bonus(owner, 10_000_000))
        for _ in range(3):
            await write_job(connection, owner, queue.operation, fields=b"", body=b"")
        await connection.execute("update credit_account set reserved_micro = 6000000 where organization_id = $1", owner)
    await connection.execute("update async_job set deadline = now() where service_id = $1", queue.service_id)
    now = await connection.fetchval("select now() + interval '1 second'")
    async with pool.acquire() as holder, holder.transaction():
        await lock_accounts(holder, [locked])
        assert await end_overdue(connection, now, most=2) >= 3
    assert [(await account(connection, owner))["reserved"] for owner in (locked, free)] == [6_000_000, 0]
    assert await end_overdue(connection, now) == 3
    assert (await account(connection, locked))["reserved"] == 0
