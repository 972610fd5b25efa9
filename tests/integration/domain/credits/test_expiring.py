"""What remains of a grant that is due is lost, as far as nobody holds it."""

import asyncio
from datetime import timedelta

from domain.credits.accounts import fetch_balance
from domain.credits.expiring import expire_all, expire_due
from domain.credits.granting import grant
from domain.credits.posting import lock_accounts
from tests.integration.domain.credits.accounts import (
    account,
    become_due,
    bonus,
    hold,
    new_organizations,
    posted,
    remainders,
    usage,
)

DAY = timedelta(days=1)


async def expired(connection, owner) -> list[int]:
    async with connection.transaction():
        await lock_accounts(connection, [owner])
        return [entry.amount_micro for entry in await expire_due(connection, [owner])]


async def test_what_is_due_is_lost_and_nothing_else(connection, owner):
    await grant(connection, owner, amount_micro=10, reason="r", expires_in=DAY)
    await grant(connection, owner, amount_micro=20, reason="r")
    assert await expired(connection, owner) == []
    await become_due(connection, owner)
    assert (await fetch_balance(connection, owner)).available_micro == 20, "before anybody posted it"
    assert await expired(connection, owner) == [10]
    assert await expired(connection, owner) == []
    found = await account(connection, owner)
    assert (found["balance"], found["expiries"]) == (20, 10)
    reason = await connection.fetchval(
        "select reason from credit_entry where organization_id = $1 and type = 'expiry'", owner
    )
    assert reason == "What remained of entry 1."


async def test_what_is_held_stays_until_it_comes_back(connection, owner):
    await grant(connection, owner, amount_micro=10, reason="r", expires_in=DAY)
    await grant(connection, owner, amount_micro=30, reason="r", expires_in=2 * DAY)
    await hold(connection, owner, leased=25, reserved=8)
    await become_due(connection, owner)
    assert await expired(connection, owner) == [7]
    assert await expired(connection, owner) == []
    assert (await fetch_balance(connection, owner)).available_micro == 0
    await posted(connection, usage(owner, 8, reserved_micro=-8))
    await hold(connection, owner, leased=-25)
    assert sum(await expired(connection, owner)) == 25
    assert await remainders(connection, owner) == [0, 0]
    assert (await account(connection, owner))["expiries"] == 32


async def test_the_sweep_takes_some_organizations_at_a_time_until_nothing_is_due(connection):
    owners = await new_organizations(connection, 5)
    soon = {"expires_at": await connection.fetchval("select now() + interval '1 hour'")}
    await posted(connection, *(bonus(owner, 10 + n, **soon) for n, owner in enumerate(owners)))
    await hold(connection, owners[0], leased=10)
    for owner in owners:
        await become_due(connection, owner)
    found = []
    while swept := await expire_all(connection, most=2):
        assert len({entry.organization_id for entry in swept}) <= 2
        found += [(entry.organization_id, entry.amount_micro) for entry in swept if entry.organization_id in owners]
    assert sorted(found) == sorted((owner, 10 + n) for n, owner in enumerate(owners) if n)


async def test_sweeps_at_once_take_each_grant_once(pool, connection):
    owners = await new_organizations(connection, 30)
    soon = {"expires_at": await connection.fetchval("select now() + interval '1 hour'")}
    await posted(connection, *(bonus(owner, 10, **soon) for owner in owners))
    for owner in owners:
        await become_due(connection, owner)

    async def sweep():
        async with pool.acquire() as own:
            return [e for e in await expire_all(own) if e.organization_id in owners]

    swept = await asyncio.gather(*(sweep() for _ in range(4)))
    assert sorted(entry.organization_id for found in swept for entry in found) == sorted(owners)


async def test_the_next_expiry_is_told(connection, owner):
    assert (await fetch_balance(connection, owner)).next_expiry_at is None
    later = (await grant(connection, owner, amount_micro=10, reason="r", expires_in=2 * DAY)).entry
    for _ in range(2):
        await grant(connection, owner, amount_micro=20, reason="r", expires_at=later.created_at + DAY)
    found = await fetch_balance(connection, owner)
    assert (found.next_expiry_at, found.next_expiry_micro) == (later.created_at + DAY, 40)
    assert (found.balance_micro, found.available_micro) == (50, 50)
