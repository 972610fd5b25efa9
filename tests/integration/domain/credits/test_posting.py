"""Posting: six balances, entries, grants, in a few statements for all organizations, or not at all (L1, L2, L3)."""

import asyncio
from datetime import timedelta
from uuid import uuid4

import asyncpg
import pytest

from domain.credits.burning import GrantsDoNotAddUp
from domain.credits.movements import Movement
from domain.credits.posting import lock_accounts, post
from schema.credits import EntryType
from tests.integration.domain.credits.accounts import (
    NOW,
    account,
    bonus,
    lower,
    new_organizations,
    posted,
    remainders,
    usage,
)


async def test_l1_l2_entries_of_several_types_and_what_the_balances_are_after_them(connection, owner):
    purchase = Movement(organization_id=owner, type=EntryType.PURCHASE, amount_micro=100, incoming=True)
    entries = await posted(connection, purchase, bonus(owner, 50), usage(owner, 30), lower(owner, 7))
    assert [entry.balance_after_micro for entry in entries] == [100, 150, 120, 113]
    assert [entry.number for entry in entries] == [1, 2, 3, 4]
    assert await account(connection, owner) == {
        "balance": 113,
        "leased": 0,
        "reserved": 0,
        "purchases": 100,
        "bonuses": 50,
        "usage": 30,
        "adjustments": -7,
        "expiries": 0,
    }
    rows = await connection.fetch("select * from credit_entry where organization_id = $1 order by number", owner)
    assert [(row["debit"], row["credit"]) for row in rows] == [
        ("purchases", "credits"),
        ("bonuses", "credits"),
        ("credits", "usage"),
        ("credits", "adjustments"),
    ]
    assert [row["id"] for row in rows] == [entry.id for entry in entries]
    assert {row["created_at"] for row in rows} == {entries[0].created_at}


async def test_grants_burn_by_priority_then_expiry_then_age(connection, owner):
    await posted(connection, bonus(owner, 10, priority=50))
    await posted(connection, bonus(owner, 20, priority=50, expires_at=NOW + timedelta(days=9)))
    await posted(connection, bonus(owner, 30, priority=50, expires_at=NOW + timedelta(days=2)))
    await posted(connection, bonus(owner, 40, priority=10))
    await posted(connection, bonus(owner, 50, priority=50))
    assert await remainders(connection, owner) == [40, 30, 20, 10, 50]
    await posted(connection, usage(owner, 45))
    assert await remainders(connection, owner) == [0, 25, 20, 10, 50]
    await posted(connection, usage(owner, 46), usage(owner, 19))
    assert await remainders(connection, owner) == [0, 0, 0, 0, 40]
    await posted(connection, usage(owner, 40))
    assert await remainders(connection, owner) == [0] * 5


async def test_a_named_grant_burns_instead_of_the_first(connection, owner):
    first, second = await posted(connection, bonus(owner, 10), bonus(owner, 20, priority=60))
    taken = Movement(organization_id=owner, type=EntryType.EXPIRY, amount_micro=15, incoming=False, grant_id=second.id)
    await posted(connection, taken)
    assert await remainders(connection, owner) == [10, 5]
    with pytest.raises(asyncpg.CheckViolationError, match="ck_credit_grant_amounts"):
        await posted(connection, Movement(**{**fields(taken), "amount_micro": 6}))
    with pytest.raises(GrantsDoNotAddUp):
        await posted(connection, Movement(**{**fields(taken), "grant_id": uuid4(), "amount_micro": 1}))
    assert (await account(connection, owner))["balance"] == 15
    assert first.number == 1


def fields(movement):
    return {name: getattr(movement, name) for name in Movement.__slots__}


async def test_l3_what_is_leased_is_settled_in_the_same_update(connection, owner):
    await posted(connection, bonus(owner, 100))
    await connection.execute(
        "update credit_account set leased_micro = 90, reserved_micro = 10 where organization_id = $1", owner
    )
    with pytest.raises(asyncpg.CheckViolationError, match="ck_credit_account_held"):
        await posted(connection, usage(owner, 1))
    await posted(connection, usage(owner, 90, leased_micro=-90), usage(owner, 4, reserved_micro=-10))
    found = await account(connection, owner)
    assert (found["balance"], found["leased"], found["reserved"], found["usage"]) == (6, 0, 0, 94)


async def test_l3_nothing_goes_out_that_is_not_there(connection, owner):
    await posted(connection, bonus(owner, 5))
    with pytest.raises(asyncpg.CheckViolationError):
        await posted(connection, usage(owner, 6))
    assert (await account(connection, owner))["balance"] == 5
    assert await connection.fetchval("select count(*) from credit_entry where organization_id = $1", owner) == 1


async def test_outside_of_a_transaction_nothing_moves(connection, owner):
    with pytest.raises(RuntimeError, match="transaction"):
        await lock_accounts(connection, [owner])
    async with connection.transaction():
        with pytest.raises(RuntimeError, match="lock"):
            await post(connection, [bonus(owner, 5)])
    with pytest.raises(asyncpg.ForeignKeyViolationError):
        await posted(connection, bonus(uuid4(), 5))


async def test_a_type_never_goes_the_other_way(connection, owner):
    with pytest.raises(KeyError):
        await posted(
            connection, Movement(organization_id=owner, type=EntryType.PURCHASE, amount_micro=1, incoming=False)
        )


async def test_two_thousand_organizations_are_a_few_statements(connection):
    owners = await new_organizations(connection, 2_000)
    statements = []
    await posted(connection, *(bonus(owner, 100 + n) for n, owner in enumerate(owners)))
    with connection.query_logger(lambda record: statements.append(record.query)):
        entries = await posted(connection, *(usage(owner, 50 + n, requests=n + 1) for n, owner in enumerate(owners)))
    assert len([query for query in statements if not query.startswith(("BEGIN", "COMMIT"))]) == 8
    assert {entry.balance_after_micro for entry in entries} == {50}
    sums = await connection.fetchrow(
        "select sum(remaining_micro) as remaining, (select sum(balance_micro) from credit_account"
        " where organization_id = any($1)) as balance from credit_grant where organization_id = any($1)",
        owners,
    )
    assert (sums["remaining"], sums["balance"]) == (100_000, 100_000)


async def test_accounts_are_locked_in_one_order_whoever_asks_in_which(pool, connection):
    """Many at once, over the same organizations in random orders, half of them without an account yet: no deadlock."""
    owners = await new_organizations(connection, 40)
    await posted(connection, *(bonus(owner, 1) for owner in owners[::2]))

    async def work(number: int) -> None:
        mine = owners[number % 7 :: 1 + number % 3]
        async with pool.acquire() as own:
            for _ in range(5):
                await posted(own, *(bonus(owner, 1) for owner in (mine if number % 2 else reversed(mine))))

    await asyncio.gather(*(work(number) for number in range(16)))
    wanted = await connection.fetch(
        "select a.entries, count(e.id) as rows, max(e.number) as last, sum(e.amount_micro) as amount, a.balance_micro"
        " from credit_account a join credit_entry e using (organization_id) where organization_id = any($1)"
        " group by a.id",
        owners,
    )
    assert len(wanted) == 40
    assert all(row["entries"] == row["rows"] == row["last"] == row["amount"] == row["balance_micro"] for row in wanted)


async def test_who_waits_for_one_account_of_several_keeps_nobody_from_the_others(pool, connection):
    """As the ingester does, whose batches are of many organizations."""
    owners = sorted(await new_organizations(connection, 3))
    await posted(connection, *(bonus(owner, 5) for owner in owners))
    locked: list[set] = []

    async def lock_all() -> None:
        async with pool.acquire() as other, other.transaction():
            locked.append(set(await lock_accounts(other, owners)))

    async with pool.acquire() as holder:
        async with holder.transaction():
            await lock_accounts(holder, owners[-1:])
            waiting = asyncio.create_task(lock_all())
            for _ in range(20):
                async with asyncio.timeout(1), connection.transaction():
                    await lock_accounts(connection, owners[:1])
                await asyncio.sleep(0.01)
            assert not waiting.done()
        async with asyncio.timeout(5):
            await waiting
    assert locked == [set(owners)]
