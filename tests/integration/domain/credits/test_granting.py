"""Purchases, bonuses and corrections; one key moves credits once, however often and at once it is used (L5, L15)."""

import asyncio
from datetime import UTC, datetime, timedelta
from uuid import uuid4

import pytest

from domain.credits.accounts import fetch_balance
from domain.credits.adjusting import NotAvailable, adjust
from domain.credits.granting import HIGHEST_BALANCE, grant
from domain.credits.idempotency import KeyReused
from domain.credits.ledger_reading import list_entries
from domain.faults import Conflict, InvalidValue, NotFound
from schema.credits import EntryType
from tests.integration.domain.credits.accounts import account, hold, remainders

MONTH = timedelta(days=30)


async def test_a_bonus_burns_before_what_was_bought(connection, owner):
    await grant(connection, owner, amount_micro=7, reason="paid", type=EntryType.PURCHASE, reference="pay_1")
    given = await grant(connection, owner, amount_micro=5, reason=" welcome ", actor="admin:1")
    assert (given.replayed, given.entry.type, given.entry.amount_micro) == (False, "bonus", 5)
    assert (given.entry.reason, given.entry.actor, given.entry.number) == ("welcome", "admin:1", 2)
    assert await remainders(connection, owner) == [5, 7]
    found = await account(connection, owner)
    assert (found["balance"], found["purchases"], found["bonuses"]) == (12, 7, 5)


async def test_a_correction_goes_up_and_down_to_what_is_available(connection, owner):
    await adjust(connection, owner, amount_micro=100, reason="up")
    await hold(connection, owner, leased=30, reserved=20)
    with pytest.raises(NotAvailable, match=r"0\.000051 .* 0\.00005 of 0\.0001 are available"):
        await adjust(connection, owner, amount_micro=-51, reason="down")
    down = await adjust(connection, owner, amount_micro=-50, reason="down")
    assert (down.entry.amount_micro, down.entry.balance_after_micro) == (-50, 50)
    assert (await account(connection, owner))["adjustments"] == 50


async def test_l5_the_same_request_is_told_what_it_did_and_nothing_moves(connection, owner):
    async def asked(amount=5, **fields):
        given = {"reason": "r", "idempotency_key": "k", "expires_in": MONTH} | fields
        return await grant(connection, owner, amount_micro=amount, **given)

    first, again = await asked(), await asked()
    assert (first.replayed, again.replayed) == (False, True)
    assert again.entry == first.entry
    for change in (
        {"amount": 6},
        {"reason": "another"},
        {"priority": 11},
        {"expires_in": None},
        {"type": EntryType.PURCHASE},
        {"reference": "x"},
    ):
        with pytest.raises(KeyReused, match="'k'"):
            await asked(**change)
    with pytest.raises(KeyReused):
        await adjust(connection, owner, amount_micro=-5, reason="r", idempotency_key="k")
    assert (await account(connection, owner))["balance"] == 5


async def test_l5_a_key_is_of_one_organization_and_of_what_happened_only(connection, owner, pool):
    with pytest.raises(NotAvailable):
        await adjust(connection, owner, amount_micro=-5, reason="r", idempotency_key="k")
    await grant(connection, owner, amount_micro=5, reason="r")
    assert not (await adjust(connection, owner, amount_micro=-5, reason="r", idempotency_key="k")).replayed
    again = await adjust(connection, owner, amount_micro=-5, reason="r", idempotency_key="k")
    assert again.replayed, "although nothing is available any more"
    other = await connection.fetchval(
        "insert into organization (slug, name) values ($1, 'o') returning id", uuid4().hex
    )
    assert not (await grant(connection, other, amount_micro=5, reason="r", idempotency_key="k")).replayed


async def test_l5_l15_twenty_at_once_under_one_key_move_credits_once(pool, owner):
    async def pay(number: int):
        async with pool.acquire() as own:
            return await grant(
                own,
                owner,
                amount_micro=1_000 + number % 2,
                reason="paid",
                type=EntryType.PURCHASE,
                reference="pay_1",
                idempotency_key="event_1",
            )

    found = await asyncio.gather(*(pay(number) for number in range(20)), return_exceptions=True)
    booked = [result for result in found if not isinstance(result, Exception)]
    assert [type(result) for result in found if isinstance(result, Exception)] == [KeyReused] * 10
    assert (len(booked), sum(not result.replayed for result in booked)) == (10, 1)
    assert len({result.entry.id for result in booked}) == 1
    async with pool.acquire() as own:
        assert (await fetch_balance(own, owner)).balance_micro == booked[0].entry.amount_micro
        assert len((await list_entries(own, owner, limit=10)).entries) == 1


async def test_what_can_never_be_granted(connection, owner):
    async def asked(**fields):
        await grant(connection, owner, **({"amount_micro": 5, "reason": "r"} | fields))

    past = datetime.now(UTC) - timedelta(seconds=1)
    for wrong in (
        {"amount_micro": 0},
        {"amount_micro": -1},
        {"amount_micro": 10**15 + 1},
        {"reason": " "},
        {"reason": "a\x00b"},
        {"reference": "x" * 501},
        {"priority": 101},
        {"priority": -1},
        {"type": EntryType.USAGE},
        {"type": EntryType.REFUND},
        {"idempotency_key": ""},
        {"idempotency_key": "k" * 256},
        {"expires_at": past},
        {"expires_at": datetime(2100, 1, 1)},  # noqa: DTZ001
        {"expires_at": past, "expires_in": MONTH},
        {"expires_in": timedelta(0)},
    ):
        with pytest.raises(InvalidValue):
            await asked(**wrong)
    with pytest.raises(InvalidValue):
        await adjust(connection, owner, amount_micro=0, reason="r")
    with pytest.raises(NotFound):
        await grant(connection, uuid4(), amount_micro=5, reason="r")
    assert not (await list_entries(connection, owner, limit=1)).entries


async def test_a_balance_stays_far_from_where_64_bits_end(connection, owner):
    await grant(connection, owner, amount_micro=10**15, reason="r")
    await connection.execute(
        "update credit_account set balance_micro = $2, bonuses_micro = $2 where organization_id = $1",
        owner,
        HIGHEST_BALANCE - 9,
    )
    with pytest.raises(Conflict, match="at most"):
        await grant(connection, owner, amount_micro=10, reason="r")
    await connection.execute(
        "update credit_account set balance_micro = $2, bonuses_micro = $2 where organization_id = $1", owner, 10**15
    )


async def test_a_change_inside_of_a_callers_transaction_ends_with_it(connection, owner):
    transaction = connection.transaction()
    await transaction.start()
    await grant(connection, owner, amount_micro=5, reason="r", idempotency_key="k")
    await transaction.rollback()
    assert not (await grant(connection, owner, amount_micro=5, reason="r", idempotency_key="k")).replayed
