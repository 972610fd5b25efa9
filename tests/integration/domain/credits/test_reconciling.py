"""Reconcile finds nothing where all is well, and names whatever somebody changes behind the ledger's back (L2, L7, L8)."""

from datetime import timedelta
from uuid import uuid4

import asyncpg
import pytest

from domain.credits.granting import grant
from domain.credits.reconciling import reconcile
from domain.credits.refunding import refund
from domain.partitions import ensure_partitions, partition_name, today
from schema.credits import EntryType
from tests.integration.domain.credits.accounts import hold, new_organizations, serve


@pytest.fixture
async def books(fresh_database_url):
    """A database with two organizations in which everything happened; the connection, and their ids."""
    connection = await asyncpg.connect(fresh_database_url)
    await ensure_partitions(connection, today() - timedelta(days=1), today())
    owners = await new_organizations(connection, 2)
    for owner in owners:
        purchase = await grant(connection, owner, amount_micro=1_000, reason="r", type=EntryType.PURCHASE)
        await grant(connection, owner, amount_micro=500, reason="r", expires_in=timedelta(days=1))
        await lend(connection, owner, 400)
        await refund(connection, purchase.entry.id, amount_micro=10, reason="r")
        [used] = await serve(connection, {owner: [30, 0, 5]})
        await connection.execute("update credit_lease set spent_micro = 35 where organization_id = $1", owner)
        await refund(connection, used.id, amount_micro=15, reason="r")
    yield connection, owners
    await connection.close()


async def lend(connection, owner, amount: int) -> None:
    """A lease of this amount and a reservation of 100."""
    holder = uuid4()
    await connection.execute("insert into credit_holder (id) values ($1)", holder)
    await connection.execute(
        "insert into credit_lease (organization_id, holder_id, amount_micro) values ($1, $2, $3)", owner, holder, amount
    )
    await connection.execute(
        "insert into credit_reservation (id, organization_id, holder_id, amount_micro, deadline)"
        " values ($1, $2, $3, 100, now())",
        uuid4(),
        owner,
        holder,
    )
    await hold(connection, owner, leased=amount, reserved=100)


async def drifts(connection, owner) -> dict[str, tuple[int, int]]:
    found = (await reconcile(connection)).drifts
    slug = await connection.fetchval("select slug from organization where id = $1", owner)
    assert {(drift.organization, drift.organization_id) for drift in found} <= {(slug, owner)}
    return {drift.what: (drift.expected, drift.found) for drift in found}


async def test_l2_l8_nothing_drifts_in_good_books(books):
    connection, _ = books
    found = await reconcile(connection)
    assert found.drifts == []
    assert (found.accounts, found.entries, found.grants, found.leases, found.reservations_held) == (2, 10, 6, 2, 2)
    assert (found.usage_entries, found.usage_entries_checked) == (2, 2)


async def test_an_empty_database_adds_up(fresh_database_url):
    connection = await asyncpg.connect(fresh_database_url)
    found = await reconcile(connection)
    await connection.close()
    assert (found.accounts, found.drifts) == (0, [])


AVAILABLE = "available: granted less posted less held"


@pytest.mark.parametrize(
    ("tamper", "expected"),
    [
        (
            "update credit_account set balance_micro = balance_micro + 7, bonuses_micro = bonuses_micro + 7 {of}",
            {
                "balance, by its entries": (1470, 1477),
                "bonuses, by their entries": (500, 507),
                "balance, by what remains of the grants": (1470, 1477),
                AVAILABLE: (1005, 1012),
            },
        ),
        (
            "update credit_account set usage_micro = usage_micro + 3, adjustments_micro = adjustments_micro + 3 {of}",
            {"usage, by its entries": (20, 23), "adjustments, by their entries": (0, 3)},
        ),
        (
            "update credit_account set purchases_micro = purchases_micro + 2, expiries_micro = expiries_micro + 2 {of}",
            {"purchases, by their entries": (990, 992), "expiries, by their entries": (0, 2)},
        ),
        ("update credit_account set entries = 9 {of}", {"number of entries": (5, 9)}),
        (
            "update credit_account set leased_micro = leased_micro - 1 {of}",
            {"leased, by the leases": (365, 364), AVAILABLE: (1005, 1006)},
        ),
        (
            "update credit_account set reserved_micro = reserved_micro + 1 {of}",
            {"reserved, by the reservations and the open jobs": (100, 101), AVAILABLE: (1005, 1004)},
        ),
        (
            "update credit_grant set remaining_micro = remaining_micro - 1 {of} and priority = 10",
            {"balance, by what remains of the grants": (1469, 1470)},
        ),
        (
            "update credit_grant set amount_micro = amount_micro + 1 {of} and priority = 10",
            {"grant of entry 2": (500, 501)},
        ),
        (
            "update credit_entry set balance_after_micro = 1 {of} and number = 3",
            {"balance after entry 3": (1490, 1)},
        ),
        (
            "update credit_entry set amount_micro = 36 {of} and type = 'usage'",
            {
                "amount of usage entry 4": (35, 36),
                "balance, by its entries": (1469, 1470),
                "usage, by its entries": (21, 20),
                "balance after entry 4": (1454, 1455),
                AVAILABLE: (1004, 1005),
            },
        ),
        ("update credit_entry set requests = 3 {of} and type = 'usage'", {"requests of usage entry 4": (2, 3)}),
        ("update request_log set cost_micro = 31 {of} and cost_micro = 30", {"amount of usage entry 4": (36, 35)}),
        (
            "delete from request_log {of}",
            {"amount of usage entry 4": (0, 35), "requests of usage entry 4": (0, 2)},
        ),
        (
            "update credit_entry set amount_micro = 1001 {of} and type = 'refund' and credit = 'purchases'",
            {"refunds of entry 1, at most what it moved": (1000, 1001)},
        ),
        (
            "update credit_entry set refund_of = (select id from credit_entry {of} and number = 2) {of} and number = 5",
            {"refunds of entry 2, at most what it moved": (0, 15)},
        ),
    ],
)
async def test_a_drift_is_named(books, tamper, expected):
    connection, owners = books
    await connection.execute("alter table credit_entry disable trigger user")
    done = await connection.execute(tamper.format(of=f"where organization_id = '{owners[0]}'"))
    assert done.rpartition(" ")[2] in {"1", "3"}
    found = await drifts(connection, owners[0])
    assert expected.items() <= found.items()
    if "'purchases'" not in tamper:
        assert found == expected


async def test_a_deleted_entry_leaves_a_gap(books):
    connection, owners = books
    await connection.execute("alter table credit_entry disable trigger user")
    await connection.execute(
        "delete from credit_grant where entry_id in"
        " (select id from credit_entry where organization_id = $1 and type = 'bonus')",
        owners[0],
    )
    await connection.execute("delete from credit_entry where organization_id = $1 and type = 'bonus'", owners[0])
    found = await drifts(connection, owners[0])
    assert found["number of entries"] == (4, 5)
    assert found["number of the last entry"] == (4, 5)
    assert found["balance after entry 3"] == (990, 1490)


async def test_l8_a_holder_that_ended_holds_nothing(books):
    connection, owners = books
    await connection.execute(
        "update credit_holder set closed_at = now() where id = (select holder_id from credit_lease where organization_id = $1)",
        owners[0],
    )
    found = await drifts(connection, owners[0])
    assert sorted(found.values()) == [(0, 100), (0, 365)]
    assert all("of the ended holder" in what for what in found)


async def test_money_without_an_account_is_found(books):
    connection, owners = books
    await connection.execute("delete from credit_account where organization_id = $1", owners[0])
    found = await drifts(connection, owners[0])
    assert found["balance, by its entries"] == (1470, 0)
    assert found["leased, by the leases"] == (365, 0)


async def test_l10_a_charged_request_without_an_entry_is_found(books):
    connection, owners = books
    await connection.execute(
        "insert into request_log (id, at, organization_id, method, path, status, outcome, total_us, bytes_in, bytes_out,"
        " cost_micro) values ($1, now(), $2, 'GET', '/', 200, 'served', 1, 0, 0, 9)",
        uuid4(),
        owners[0],
    )
    found = await drifts(connection, owners[0])
    assert sorted(found.values()) == [(1, 0), (9, 0)]
    assert all("of the log rows stored at" in what for what in found)


async def test_usage_whose_rows_are_no_longer_kept_is_not_checked(books):
    connection, _ = books
    await connection.execute(f"drop table {partition_name(today())}, {partition_name(today() - timedelta(days=1))}")
    found = await reconcile(connection)
    assert (found.drifts, found.usage_entries, found.usage_entries_checked) == ([], 2, 0)
