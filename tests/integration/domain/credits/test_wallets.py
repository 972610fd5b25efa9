"""Workers that spend: nobody waits while there is something, nobody spends what is not there, nothing stays behind."""

import asyncio
from contextlib import AsyncExitStack
from datetime import UTC, datetime, timedelta
from uuid import uuid4

import pytest

from domain.credits.reconciling import reconcile
from domain.credits.releasing import release_holders
from domain.credits.reservations import expire_overdue, prolong
from domain.credits.sweeping import FORGOTTEN_AFTER, sweep
from domain.databases import open_pool
from domain.refusals import CannotDecide, OutOfCredits
from domain.settings import DatabaseSettings
from tests.deadlines import until
from tests.integration.domain.conftest import address_of, dsn_through
from tests.integration.domain.credits.accounts import account, bonus, new_organization, new_organizations, posted
from tests.integration.domain.credits.workers import Worker
from tests.wire.fault_proxy import FaultProxy


@pytest.fixture
async def connection(pool):
    async with pool.acquire() as acquired:
        yield acquired


@pytest.fixture
async def workers(database_url):
    """Makes workers, each with a pool of its own, as processes have."""
    async with AsyncExitStack() as stack:

        async def make(number: int, dsn: str = "") -> list[Worker]:
            made = []
            for _ in range(number):
                own = await open_pool(DatabaseSettings(url=dsn or database_url), "worker under test")
                stack.callback(own.terminate)
                made.append(await stack.enter_async_context(Worker(own, database_url)))
            return made

        yield make


OWNERS = set()


async def with_credits(connection, amount: int):
    owner = await new_organization(connection)
    OWNERS.add(owner)
    await posted(connection, bonus(owner, amount))
    return owner


async def at_rest(connection, owner) -> dict:
    async with asyncio.timeout(10):
        while (found := await account(connection, owner))["leased"] or found["reserved"]:
            await asyncio.sleep(0.02)
    return found


async def test_a_warm_request_asks_nobody(connection, workers):
    owner = await with_credits(connection, 10_000)
    (worker,) = await workers(1)
    assert await worker.spend(owner, 10)
    wallet, calls = worker.wallets.of(owner), worker.wallets.status().calls
    for _ in range(5):
        assert wallet.take(10)
        wallet.settle(10, 10)
    assert worker.wallets.status().calls == calls
    assert wallet.remaining() == 10_000 - 6 * 10


async def test_what_is_lent_is_renewed_before_it_is_spent(connection, workers):
    owner = await with_credits(connection, 1_000_000)
    (worker,) = await workers(1)
    wallet = worker.wallets.of(owner)
    waited = 0
    for _ in range(5_000):
        if not wallet.take(10):
            waited += 1
            await worker.wallets.wait(wallet, 10)
        wallet.settle(10, 10)
        await asyncio.sleep(0)
    assert waited < 50


async def test_exactly_what_there_is_is_spent_by_many_workers_at_once(connection, workers):
    owner = await with_credits(connection, 5_000)
    four = await workers(4)
    served = await asyncio.gather(*(worker.spend(owner, 100) for worker in four for _ in range(250)))
    assert sum(served) == 50
    for worker in four:
        await worker.store(connection)
    assert (await at_rest(connection, owner))["balance"] == 0


async def test_the_last_credit_is_not_stranded_in_another_worker(connection, workers):
    owner = await with_credits(connection, 1_000)
    rich, dry = await workers(2)
    assert await rich.spend(owner, 10)  # and holds more
    assert rich.wallets.of(owner).left > 0
    served = 1
    while await dry.spend(owner, 10):
        served += 1
    assert served == 100
    assert dry.wallets.status().refused == 1


async def test_two_workers_that_each_hold_too_little_find_together(connection, workers):
    owner = await with_credits(connection, 120)
    first, second = await workers(2)
    for worker in (first, second):
        wallet = worker.wallets.of(owner)
        await worker.wallets.wait(wallet, 60)
        wallet.settle(60, 0)
    assert sorted(await asyncio.gather(first.spend(owner, 100), second.spend(owner, 100))) == [False, True]


async def test_refused_by_itself_for_a_moment_and_then_asked_again(connection, workers):
    owner = await with_credits(connection, 5)
    (worker,) = await workers(1)
    assert not await worker.spend(owner, 10)
    calls = worker.wallets.status().calls
    assert not await worker.spend(owner, 10)
    assert worker.wallets.status().calls == calls
    assert await worker.spend(owner, 5)  # a cheaper one is another question
    await posted(connection, bonus(owner, 10))
    async with asyncio.timeout(5):
        while not await worker.spend(owner, 10):
            await asyncio.sleep(0.05)


async def test_what_a_failed_request_gives_back_serves_one_that_waits(connection, workers):
    owner = await with_credits(connection, 10)
    (worker,) = await workers(1)
    wallet = worker.wallets.of(owner)
    await worker.wallets.wait(wallet, 10)
    waiting = worker.wallets.wait(wallet, 10)
    wallet.settle(10, 0)
    await waiting
    assert (wallet.left, wallet.held) == (0, 10)


async def test_idle_credits_go_back_and_quiet_wallets_are_forgotten(connection, workers, monkeypatch):
    monkeypatch.setattr("domain.credits.wallets._QUIET_SECONDS", 2.0)
    owner = await with_credits(connection, 1_000)
    (worker,) = await workers(1)
    for turn in range(2):
        assert await worker.spend(owner, 10)
        await worker.store(connection)
        assert (await at_rest(connection, owner))["balance"] == 990 - 10 * turn
        await until(lambda: worker.wallets.get(owner) is None, what="the forgetting")


async def test_stopping_gives_everything_back(connection, workers):
    owners = await new_organizations(connection, 150)
    await posted(connection, *(bonus(owner, 1_000) for owner in owners))
    (worker,) = await workers(1)
    assert all(await asyncio.gather(*(worker.spend(owner, 10) for owner in owners)))
    calls = worker.wallets.status().calls
    assert calls < 20
    await worker.wallets.stop()
    assert await connection.fetchval("select sum(amount_micro - returned_micro) from credit_lease where holder_id = $1",
                                     worker.holder) == 1_500  # fmt: skip
    await worker.store(connection, over=True)
    for owner in owners[:3]:
        assert (await account(connection, owner))["leased"] == 0


async def test_a_killed_worker_leaves_nothing_behind(connection, workers):
    owner = await with_credits(connection, 10_000)
    dead, other = await workers(2)
    assert all([await dead.spend(owner, 10) for _ in range(10)])
    await dead.die()
    await dead.store(connection)
    assert (await account(connection, owner))["leased"] > 0
    await dead.store(connection, over=True)
    found = await account(connection, owner)
    assert (found["leased"], found["balance"], found["usage"]) == (0, 9_900, 100)
    assert await other.spend(owner, 9_900)


async def test_one_whose_credits_an_operator_gave_back_spends_nothing_more(connection, workers):
    owner = await with_credits(connection, 1_000)
    (worker,) = await workers(1)
    assert await worker.spend(owner, 10)
    wallet = worker.wallets.of(owner)
    await release_holders(connection, [worker.holder])
    worker.wallets.give_up(wallet)
    await until(lambda: not worker.wallets.status().ok)
    assert not wallet.take(1)
    with pytest.raises(CannotDecide):
        await worker.spend(owner, 1)
    # What it had served by then is taken from what is available.
    await worker.store(connection)
    found = await account(connection, owner)
    assert (found["usage"], found["leased"], found["balance"]) == (10, 0, 990)


async def test_charges_that_nothing_covers_are_written_off_and_stop_nobody(connection, workers, caplog):
    poor, rich = await with_credits(connection, 30), await with_credits(connection, 1_000)
    (worker,) = await workers(1)
    assert await worker.spend(rich, 10)
    worker.note(uuid4(), poor, 100)
    worker.note(uuid4(), uuid4(), 100)
    await worker.store(connection)
    assert (await account(connection, poor))["balance"] == 0
    assert (await account(connection, rich))["usage"] == 10
    assert caplog.text.count("WRITTEN OFF") == 2


async def test_what_was_lent_is_spent_while_the_ledger_hangs_and_then_it_is_503_at_once(
    connection, workers, database_url
):
    owner, cold = await with_credits(connection, 10_000), await with_credits(connection, 10_000)
    loop = asyncio.get_running_loop()
    async with FaultProxy(address_of(database_url)) as proxy:
        (worker,) = await workers(1, dsn_through(proxy, database_url))
        assert await worker.spend(owner, 10)
        wallet = worker.wallets.of(owner)
        proxy.to_client.hold()
        assert wallet.take(wallet.left)
        begun = loop.time()
        with pytest.raises(CannotDecide):
            await worker.spend(cold, 10)
        assert loop.time() - begun < 3
        await until(lambda: not worker.wallets.status().ok)
        with pytest.raises(CannotDecide):
            worker.wallets.wait(worker.wallets.of(cold), 10)
        proxy.to_client.release()
        proxy.reset_all()
        await until(lambda: worker.wallets.status().ok)
        assert await worker.spend(cold, 10)
        # The call whose answer was lost counted once: what is held here is what the ledger says.
        wallet = worker.wallets.of(cold)
        lease = "select amount_micro - returned_micro from credit_lease where holder_id = $1 and organization_id = $2"
        await until(lambda: wallet.call is None)
        assert await connection.fetchval(lease, worker.holder, cold) == wallet.left + wallet.held + wallet.spent
    await worker.die()
    await worker.store(connection, over=True)
    assert (await account(connection, cold))["balance"] == 9_990


async def test_a_held_lock_of_one_organization_keeps_nobody_else_waiting(pool, connection, workers):
    busy, free = await with_credits(connection, 1_000), await with_credits(connection, 1_000)
    (worker,) = await workers(1)
    async with pool.acquire() as other, other.transaction():
        await other.execute("select from credit_account where organization_id = $1 for update", busy)
        waiting = asyncio.gather(worker.spend(busy, 10), return_exceptions=True)
        assert await worker.spend(free, 10)
        assert isinstance((await waiting)[0], CannotDecide)
    assert worker.wallets.status().ok
    assert await worker.spend(busy, 10)


async def test_a_reservation_is_held_once_settled_once_and_never_for_more_than_there_is(connection, workers):
    owner = await with_credits(connection, 1_000)
    first, second = await workers(2)
    assert await first.spend(owner, 10)
    ids = [uuid4() for _ in range(2)]
    held = await second.holds.hold(ids[0], owner, uuid4(), 600, 0)
    with pytest.raises(OutOfCredits):
        await second.holds.hold(ids[1], owner, uuid4(), 600, 0)
    assert (await account(connection, owner))["reserved"] == 600
    second.holds.ended(held)
    for _ in range(2):
        second.note(ids[0], owner, 250)
        second.journal = second.journal[-1:]
    await second.store(connection)
    await first.store(connection)
    found = await at_rest(connection, owner)
    assert (found["reserved"], found["balance"], found["usage"]) == (0, 740, 260)
    assert [d for d in (await reconcile(connection)).drifts if d.organization_id == owner] == []


async def test_reservations_of_a_dead_worker_and_overdue_ones_come_back(connection, workers):
    owner = await with_credits(connection, 1_000)
    dead, slow = await workers(2)
    await dead.holds.hold(uuid4(), owner, uuid4(), 300, 0)
    late, prolonged = uuid4(), uuid4()
    for request_id in (late, prolonged):
        await slow.holds.hold(request_id, owner, uuid4(), 100, 1)
    await dead.die()
    await dead.store(connection, over=True)
    assert (await account(connection, owner))["reserved"] == 200
    soon, far = (datetime.now(UTC) + timedelta(seconds=seconds) for seconds in (300, 600))
    await prolong(connection, [prolonged], far)
    while await expire_overdue(connection, soon):
        pass
    assert (await account(connection, owner))["reserved"] == 100
    states = await connection.fetch("select id, state from credit_reservation where organization_id = $1", owner)
    assert {row["id"]: row["state"] for row in states}[late] == "expired"
    # Its record comes after all: it is paid from what is available.
    slow.note(late, owner, 100)
    await slow.store(connection)
    assert (await account(connection, owner))["usage"] == 100


async def test_sweeping_releases_what_is_overdue_and_forgets_old_leases(connection, workers):
    owner = await with_credits(connection, 1_000)
    dead, slow = await workers(2)
    assert await dead.spend(owner, 10)
    await dead.die()
    await dead.store(connection, over=True)
    request_id = uuid4()
    await slow.holds.hold(request_id, owner, uuid4(), 100, 1)
    assert await sweep(connection, datetime.now(UTC) + FORGOTTEN_AFTER + timedelta(minutes=5)) >= 1
    assert (await account(connection, owner))["reserved"] == 0
    leases = "select holder_id from credit_lease where organization_id = $1"
    assert dead.holder not in {row["holder_id"] for row in await connection.fetch(leases, owner)}


async def test_the_books_agree_after_all_of_this(connection):
    """But for what was written off: there log rows say more than the ledger could take."""
    drifts = [drift for drift in (await reconcile(connection)).drifts if drift.organization_id in OWNERS]
    assert [drift for drift in drifts if not drift.what.startswith("amount of usage entry")] == []
    assert len(OWNERS) > 10
