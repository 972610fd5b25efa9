"""Entries by page, from an entry to its requests and back."""

import asyncio
from uuid import uuid4

import pytest

from domain.credits.granting import grant
from domain.credits.ledger_reading import entry_behind, list_entries, requests_behind
from domain.faults import NotFound
from domain.log_store.store import POSTGRES
from domain.partitions import ensure_partitions, today
from domain.request_ids import new_request_id
from schema.credits import EntryType
from tests.integration.domain.credits.accounts import bonus, new_organization, posted, serve, usage


@pytest.fixture(autouse=True)
async def partitions(connection):
    await ensure_partitions(connection, today(), today())


async def test_pages_lead_through_all_entries_while_more_come(connection, owner):
    await posted(connection, *(bonus(owner, 10) for _ in range(25)))
    seen, before = [], None
    while True:
        page = await list_entries(connection, owner, limit=10, before=before)
        seen += [entry.number for entry in page.entries]
        await posted(connection, bonus(owner, 1))
        if page.older is None:
            break
        before = page.older
    assert seen == list(range(25, 0, -1))


async def test_a_page_of_one_type_and_of_one_organization(connection, owner):
    await posted(connection, bonus(owner, 10), usage(owner, 1), usage(owner, 2), bonus(owner, 3))
    await posted(connection, bonus(await new_organization(connection), 99))
    found = await list_entries(connection, owner, limit=10, type=EntryType.USAGE)
    assert [(entry.amount_micro, entry.balance_after_micro) for entry in found.entries] == [(-2, 7), (-1, 9)]
    assert found.older is None


async def test_l1_l2_balances_run_on_in_the_order_of_the_numbers_whoever_began_first(pool, connection, owner):
    """A transaction that begins first and gets the lock last writes the later entry, and it stands so in the ledger."""
    await posted(connection, bonus(owner, 10))
    async with pool.acquire() as early:
        transaction = early.transaction()
        await transaction.start()
        await early.fetchval("select now()")
        await grant(connection, owner, amount_micro=5, reason="later, but quicker")
        await grant(early, owner, amount_micro=7, reason="earlier, but slower")
        await transaction.commit()
    newest, before = (await list_entries(connection, owner, limit=2)).entries
    assert (newest.amount_micro, newest.balance_after_micro, before.balance_after_micro) == (7, 22, 15)
    assert newest.created_at < before.created_at


async def test_every_charged_request_leads_to_its_entry_and_back(pool, connection):
    owners = [await new_organization(connection) for _ in range(2)]
    await posted(connection, *(bonus(owner, 1_000) for owner in owners))
    first = await serve(connection, {owners[0]: [5, 0, 7], owners[1]: [11]}, held="")
    second = await serve(connection, {owners[0]: [13]}, held="")
    for entry, costs in zip([*first, *second], [[5, 7], [11], [13]], strict=True):
        behind = await requests_behind(connection, entry.id, POSTGRES)
        assert sorted(row.cost_micro for row in behind) == costs
        for row in behind:
            assert (await entry_behind(connection, row.id, POSTGRES)).id == entry.id
    assert len(await requests_behind(connection, first[0].id, POSTGRES, limit=1)) == 1
    free = await connection.fetchval(
        "select id from request_log where organization_id = $1 and cost_micro = 0", owners[0]
    )
    for nothing in (free, new_request_id(), uuid4()):
        with pytest.raises(NotFound):
            await entry_behind(connection, nothing, POSTGRES)
    with pytest.raises(NotFound):
        await requests_behind(connection, uuid4(), POSTGRES)
    gift = (await grant(connection, owners[0], amount_micro=1, reason="r")).entry
    assert await requests_behind(connection, gift.id, POSTGRES) == []


async def test_entries_of_many_at_once_are_numbered_without_a_gap(pool, connection, owner):
    async def work():
        async with pool.acquire() as own:
            for _ in range(5):
                await grant(own, owner, amount_micro=1, reason="r")

    await asyncio.gather(*(work() for _ in range(8)))
    entries = (await list_entries(connection, owner, limit=100)).entries
    assert [(entry.number, entry.balance_after_micro) for entry in entries] == [(n, n) for n in range(40, 0, -1)]
