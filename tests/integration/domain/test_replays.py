"""Claims in PostgreSQL: one holder of a key at a time, and their end with their worker's journal."""

import asyncio
from datetime import UTC, datetime, timedelta
from uuid import UUID, uuid4

import pytest

from domain.credits.leasing import HolderClosed, close_holders, enter
from domain.credits.releasing import release_holders
from domain.replays import Claim, Earlier, Outcome, claim, close_running, expire, fingerprint_of, finish, forget
from domain.request_ids import new_request_id
from tests.integration.domain.credits.accounts import new_organization

PRINT = fingerprint_of(b"POST", b"/x").digest()
HOURS = 24


@pytest.fixture
async def connection(pool):
    async with pool.acquire() as acquired:
        yield acquired


@pytest.fixture
async def owner(connection):
    return await new_organization(connection)


def wanted(owner: UUID, key: str = "key") -> Claim:
    return Claim(new_request_id(), owner, uuid4(), key, PRINT)


async def row(connection, owner: UUID):
    return await connection.fetchrow("select * from idempotent_request where organization_id = $1", owner)


async def expired(connection, owner: UUID) -> None:
    await connection.execute(
        "update idempotent_request set expires_at = now() - interval '1 second' where organization_id = $1", owner
    )


async def logged(connection, request_id: UUID, outcome: str, status: int, cost: int) -> None:
    await connection.execute(
        "insert into request_log (id, at, method, path, status, outcome, total_us, bytes_in, bytes_out, cost_micro)"
        " values ($1, now(), 'POST', '/x', $2, $3, 1, 0, 0, $4)",
        request_id, status, outcome, cost,
    )  # fmt: skip


async def test_the_first_claims_and_others_see_what_came_of_it(connection, owner):
    holder, first = uuid4(), wanted(owner)
    assert await claim(connection, holder, first, HOURS) is None
    assert await claim(connection, holder, first, HOURS) is None
    assert await claim(connection, uuid4(), wanted(owner), HOURS) == Earlier(first.id, None)
    outcome = Outcome(PRINT, 201, [(b"x-own", b"\xe9"), (b"set-cookie", b"a"), (b"set-cookie", b"b")], b"\x00\xff")
    await finish(connection, first.id, outcome, HOURS)
    assert await claim(connection, uuid4(), wanted(owner), HOURS) == Earlier(first.id, outcome)
    assert await claim(connection, uuid4(), wanted(owner, "other"), HOURS) is None
    await finish(connection, first.id, Outcome(PRINT, 500), HOURS)
    await forget(connection, [first.id])
    assert (await row(connection, owner))["status"] == 201


async def test_many_at_once_claim_once(pool, owner):
    async def one() -> Earlier | None:
        async with pool.acquire() as connection:
            return await claim(connection, uuid4(), wanted(owner), HOURS)

    found = await asyncio.gather(*(one() for _ in range(40)))
    assert found.count(None) == 1
    assert all(earlier is None or earlier.outcome is None for earlier in found)


async def test_what_is_forgotten_may_be_claimed_again(connection, owner):
    first, second = wanted(owner), wanted(owner)
    assert await claim(connection, uuid4(), first, HOURS) is None
    await forget(connection, [first.id])
    assert await claim(connection, uuid4(), second, HOURS) is None


async def test_what_has_expired_is_taken_over_but_not_what_runs(connection, owner):
    first, second = wanted(owner), wanted(owner)
    await claim(connection, uuid4(), first, HOURS)
    await expired(connection, owner)
    assert await claim(connection, uuid4(), second, HOURS) == Earlier(first.id, None)
    assert (await row(connection, owner))["state"] == "running"
    await finish(connection, first.id, Outcome(PRINT, 200, (), b"x"), HOURS)
    await expired(connection, owner)
    holder = uuid4()
    assert await claim(connection, holder, second, HOURS) is None
    found = await row(connection, owner)
    assert (found["id"], found["holder_id"], found["state"], found["body"]) == (second.id, holder, "running", None)
    # The first one's worker comes late.
    await finish(connection, first.id, Outcome(PRINT, 200, (), b"x"), HOURS)
    await forget(connection, [first.id])
    assert (await row(connection, owner))["state"] == "running"


async def test_expiry_is_bounded_and_leaves_what_runs(connection):
    await connection.execute("delete from idempotent_request")
    owners = [await new_organization(connection) for _ in range(5)]
    for number, owner in enumerate(owners):
        made = wanted(owner)
        await claim(connection, uuid4(), made, HOURS)
        if number:
            await finish(connection, made.id, Outcome(PRINT, 200), HOURS)
        await expired(connection, owner)
    now = datetime.now(UTC)
    assert await expire(connection, now - timedelta(days=1)) == 0
    counts = [await expire(connection, now, 3), await expire(connection, now, 3)]
    assert counts == [3, 1]
    assert [await row(connection, owner) is not None for owner in owners] == [True, False, False, False, False]


async def test_a_closed_holder_claims_nothing(connection, owner):
    holder = uuid4()
    await close_holders(connection, [holder])
    with pytest.raises(HolderClosed):
        await claim(connection, holder, wanted(owner), HOURS)
    assert await row(connection, owner) is None


async def test_a_claim_under_way_is_seen_by_the_end_of_its_holder(pool, owner):
    """The end waits for the claim, or the claim for the end: never a claim that nobody ends."""
    holder, made = uuid4(), wanted(owner)
    async with pool.acquire() as claiming, pool.acquire() as closing:
        await enter(claiming, holder)
        transaction = claiming.transaction()
        await transaction.start()
        assert await claim(claiming, holder, made, HOURS) is None

        async def close() -> None:
            async with closing.transaction():
                await close_holders(closing, [holder])
                await close_running(closing, [holder])

        ending = asyncio.ensure_future(close())
        done, _ = await asyncio.wait((ending,), timeout=0.2)
        assert not done
        await transaction.commit()
        await ending
        assert await row(closing, owner) is None


@pytest.mark.parametrize(
    ("record", "kept"),
    [
        (None, None),
        (("served", 200, 100), 200),
        (("served", 200, 0), 200),
        (("served", 404, 0), 404),
        (("served", 429, 0), None),
        (("served", 503, 0), None),
        (("served", 503, 100), 503),
        (("cut", 200, 0), None),
        (("cut", 200, 100), 200),
        (("gone", 200, 100), 200),
        (("gone", 200, 0), 200),
        (("gone", 0, 0), None),
        (("refused", 402, 0), None),
        (("failed", 502, 0), None),
    ],
)
async def test_the_end_of_a_journal_ends_its_claims_by_its_records(connection, owner, record, kept):
    holder, other, made = uuid4(), await new_organization(connection), wanted(owner)
    await claim(connection, holder, made, HOURS)
    await claim(connection, uuid4(), wanted(other), HOURS)
    if record is not None:
        await logged(connection, made.id, *record)
    await close_running(connection, [holder])
    found = await row(connection, owner)
    assert (None if found is None else (found["state"], found["status"], found["body"])) == (
        None if kept is None else ("done", kept, None)
    )
    assert (await row(connection, other))["state"] == "running"


async def test_of_a_journal_that_is_lost_nothing_runs_again(connection, owner):
    holder, made = uuid4(), wanted(owner)
    await claim(connection, holder, made, HOURS)
    await release_holders(connection, [holder])
    assert await claim(connection, uuid4(), wanted(owner), HOURS) == Earlier(made.id, Outcome(PRINT, 0, [], None))
