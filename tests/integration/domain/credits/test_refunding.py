"""Refunds are at most what an entry moved, in sum; a refund is not refunded (L7)."""

import asyncio
from uuid import uuid4

import pytest

from domain.credits.adjusting import adjust
from domain.credits.granting import grant
from domain.credits.idempotency import KeyReused
from domain.credits.refunding import NotRefundable, refund
from domain.faults import InvalidValue, NotFound
from schema.credits import EntryType
from tests.integration.domain.credits.accounts import account, hold, posted, remainders, usage


async def bought(connection, owner, amount, **fields):
    fields = {"reason": "paid", "type": EntryType.PURCHASE} | fields
    return (await grant(connection, owner, amount_micro=amount, **fields)).entry


async def test_l7_a_purchase_goes_back_as_far_as_it_is_not_spent(connection, owner):
    purchase = await bought(connection, owner, 100)
    await posted(connection, usage(owner, 30))
    with pytest.raises(NotRefundable, match=r"0\.00007 can"):
        await refund(connection, purchase.id, amount_micro=71, reason="r")
    part = (await refund(connection, purchase.id, amount_micro=50, reason="r", actor="a")).entry
    assert (part.amount_micro, part.balance_after_micro, part.refund_of) == (-50, 20, purchase.id)
    rest = (await refund(connection, purchase.id, reason="r")).entry
    assert (rest.amount_micro, rest.balance_after_micro) == (-20, 0)
    with pytest.raises(NotRefundable, match="0 can be given back"):
        await refund(connection, purchase.id, reason="r")
    found = await account(connection, owner)
    assert (found["balance"], found["purchases"], found["usage"]) == (0, 30, 30)


async def test_l7_a_purchase_is_taken_from_its_own_grant_and_only_if_available(connection, owner):
    purchase = await bought(connection, owner, 100)
    await bought(connection, owner, 40, priority=60)
    await grant(connection, owner, amount_micro=10, reason="gift")
    await hold(connection, owner, leased=90, reserved=35)
    with pytest.raises(NotRefundable):
        await refund(connection, purchase.id, amount_micro=26, reason="r")
    await refund(connection, purchase.id, amount_micro=25, reason="r")
    assert await remainders(connection, owner) == [10, 75, 40]


async def test_l7_usage_comes_back_once(connection, owner):
    await bought(connection, owner, 100)
    [entry] = await posted(connection, usage(owner, 60))
    with pytest.raises(NotRefundable):
        await refund(connection, entry.id, amount_micro=61, reason="r")
    first = (await refund(connection, entry.id, amount_micro=45, reason="broken answers")).entry
    assert (first.amount_micro, first.balance_after_micro) == (45, 85)
    with pytest.raises(NotRefundable, match=r"0\.000015 can"):
        await refund(connection, entry.id, amount_micro=16, reason="r")
    assert (await refund(connection, entry.id, reason="r")).entry.amount_micro == 15
    assert (await account(connection, owner))["usage"] == 0
    assert await remainders(connection, owner) == [40, 45, 15]


async def test_l7_a_refund_is_not_refunded_nor_a_gift_nor_a_correction(connection, owner):
    purchase = await bought(connection, owner, 100)
    [used] = await posted(connection, usage(owner, 10))
    entries = [
        (await refund(connection, purchase.id, amount_micro=1, reason="r")).entry,
        (await refund(connection, used.id, amount_micro=1, reason="r")).entry,
        (await grant(connection, owner, amount_micro=5, reason="gift")).entry,
        (await adjust(connection, owner, amount_micro=5, reason="up")).entry,
        (await adjust(connection, owner, amount_micro=-5, reason="down")).entry,
    ]
    for entry in entries:
        with pytest.raises(NotRefundable, match="only a purchase or usage"):
            await refund(connection, entry.id, reason="r")
    with pytest.raises(NotFound):
        await refund(connection, uuid4(), reason="r")
    with pytest.raises(InvalidValue):
        await refund(connection, purchase.id, amount_micro=0, reason="r")


async def test_l5_l7_a_refund_under_a_key_happens_once(connection, owner):
    await bought(connection, owner, 100)
    [used] = await posted(connection, usage(owner, 10))
    first = await refund(connection, used.id, reason="r", idempotency_key="k")
    again = await refund(connection, used.id, reason="r", idempotency_key="k")
    assert (again.replayed, again.entry) == (True, first.entry)
    with pytest.raises(KeyReused):
        await refund(connection, used.id, amount_micro=10, reason="r", idempotency_key="k")


async def test_l7_many_at_once_give_back_no_more_than_there_was(pool, connection, owner):
    purchase = await bought(connection, owner, 100)
    [used] = await posted(connection, usage(owner, 40))

    async def give_back(number: int):
        async with pool.acquire() as own:
            return await refund(own, used.id if number % 2 else purchase.id, amount_micro=7, reason="r")

    found = await asyncio.gather(*(give_back(number) for number in range(40)), return_exceptions=True)
    refused = [result for result in found if isinstance(result, NotRefundable)]
    assert len(found) - len(refused) == 40 // 7 + 60 // 7
    balances = await account(connection, owner)
    assert (balances["usage"], balances["purchases"]) == (40 - 35, 100 - 56)
