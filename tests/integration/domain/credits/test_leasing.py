"""Grant, give back, close: what PostgreSQL says of leases (L3, L8), whatever is repeated or comes late."""

import asyncio
from itertools import count
from uuid import UUID, uuid4

import pytest

from domain.credits.leasing import CHANNEL, Ask, Granted, HolderClosed, grant
from domain.credits.releasing import release_holders
from tests.integration.domain.credits.accounts import account, bonus, new_organization, new_organizations, posted

calls = count(1)


@pytest.fixture
async def connection(pool):
    async with pool.acquire() as acquired:
        yield acquired


@pytest.fixture
async def owner(connection):
    made = await new_organization(connection)
    await posted(connection, bonus(made, 1_000))
    return made


async def ask(connection, holder: UUID, owner: UUID, need: int = 0, **fields) -> Granted:
    given = {"call": next(calls), "least": need} | fields
    return (await grant(connection, holder, [Ask(owner, need=need, **given)]))[0]


async def lease(connection, holder: UUID, owner: UUID) -> tuple[int, int, int]:
    row = await connection.fetchrow(
        "select amount_micro, spent_micro, returned_micro from credit_lease where holder_id = $1 and organization_id = $2",
        holder,
        owner,
    )
    return tuple(row)


async def test_what_is_needed_is_lent_and_no_longer_available(connection, owner):
    holder = uuid4()
    assert await ask(connection, holder, owner, 300) == Granted(owner, 300, 700, 0, 0)
    assert await ask(connection, holder, owner, 100) == Granted(owner, 100, 600, 0, 0)
    assert await lease(connection, holder, owner) == (400, 0, 0)
    assert (await account(connection, owner))["leased"] == 400


async def test_a_want_is_met_with_a_share_that_shrinks_with_the_holders(connection, owner):
    first, second, third = uuid4(), uuid4(), uuid4()
    assert (await ask(connection, first, owner, want=10**9)).granted == 500
    assert (await ask(connection, second, owner, want=10**9)).granted == 125
    assert (await ask(connection, third, owner, want=10**9)).granted == 62
    assert (await ask(connection, third, owner, want=3)).granted == 3


async def test_more_than_there_is_is_lent_as_far_as_it_goes_but_not_less_than_one_request(connection, owner):
    holder = uuid4()
    assert (await ask(connection, holder, owner, 5_000, least=1_001)).granted == 0
    assert (await ask(connection, holder, owner, 5_000, least=1_000)).granted == 1_000
    assert (await ask(connection, holder, owner, 5_000, least=1)).granted == 0


async def test_an_ask_whose_answer_was_lost_counts_once(connection, owner):
    holder, number = uuid4(), next(calls)
    first = await ask(connection, holder, owner, 300, call=number)
    again = await ask(connection, holder, owner, 300, call=number)
    assert (first.granted, again.granted) == (300, 300)
    assert await lease(connection, holder, owner) == (300, 0, 0)
    assert (await account(connection, owner))["leased"] == 300


async def test_what_was_given_back_twice_came_back_once(connection, owner):
    holder = uuid4()
    await ask(connection, holder, owner, 300)
    for _ in range(2):
        assert (await ask(connection, holder, owner, returned=200)).returned == 200
    assert await lease(connection, holder, owner) == (300, 0, 200)
    assert (await account(connection, owner))["leased"] == 100


async def test_giving_back_and_asking_in_one_call(connection, owner):
    holder, number = uuid4(), next(calls)
    await ask(connection, holder, owner, 1_000)
    for _ in range(2):
        answer = await ask(connection, holder, owner, 600, returned=800, call=number)
        assert (answer.granted, answer.available, answer.returned) == (600, 200, 800)
    assert await lease(connection, holder, owner) == (1_600, 0, 800)


async def test_nobody_gives_back_more_than_the_ledger_knows_to_be_unspent(connection, owner):
    holder = uuid4()
    await ask(connection, holder, owner, 300)
    assert (await ask(connection, holder, owner, returned=10_000)).returned == 300
    assert (await account(connection, owner))["leased"] == 0


async def test_one_who_has_forgotten_what_it_gave_back_learns_it(connection, owner):
    holder = uuid4()
    await ask(connection, holder, owner, 300)
    await ask(connection, holder, owner, returned=200)
    assert (await ask(connection, holder, owner, 10, returned=None)).returned == 200


async def test_what_others_hold_is_told_and_called_back_by_name(pool, connection, owner):
    heard: asyncio.Queue[str] = asyncio.Queue()
    async with pool.acquire() as ear:
        await ear.add_listener(CHANNEL, lambda *words: heard.put_nowait(words[-1]))
        rich, dry = uuid4(), uuid4()
        await ask(connection, rich, owner, 1_000)
        assert await ask(connection, dry, owner, 10, recall=True) == Granted(owner, 0, 0, 1_000, 0)
        assert await asyncio.wait_for(heard.get(), 5) == f"{dry.hex} {owner.hex}"
        await ear.reset()


async def test_who_is_closed_gets_nothing_and_everything_unspent_is_back(connection, owner):
    holder = uuid4()
    await ask(connection, holder, owner, 300)
    await release_holders(connection, [holder])
    assert (await account(connection, owner))["leased"] == 0
    with pytest.raises(HolderClosed):
        await ask(connection, holder, owner, 10)
    stranger = uuid4()
    await release_holders(connection, [stranger])
    with pytest.raises(HolderClosed):
        await ask(connection, stranger, owner, 10)


async def test_one_organization_that_is_busy_keeps_no_other_waiting(pool, connection):
    busy, free, without = await new_organizations(connection, 3)
    await posted(connection, bonus(busy, 100), bonus(free, 100))
    async with pool.acquire() as other, other.transaction():
        await other.execute("select from credit_account where organization_id = $1 for update", busy)
        asks = [Ask(each, next(calls), need=10, least=10) for each in (busy, free, without)]
        answers = {answer.organization_id: answer.granted for answer in await grant(connection, uuid4(), asks)}
    assert answers == {free: 10, without: 0}


async def test_many_at_once_never_lend_more_than_there_is(pool, owner):
    async def take(holder: UUID) -> int:
        async with pool.acquire() as connection:
            total = 0
            for _ in range(20):
                answers = await grant(connection, holder, [Ask(owner, next(calls), need=7, least=7)])
                total += sum(answer.granted for answer in answers)
            return total

    totals = await asyncio.gather(*(take(uuid4()) for _ in range(6)))
    assert sum(totals) <= 1_000
    async with pool.acquire() as connection:
        assert (await account(connection, owner))["leased"] == sum(totals)
