"""What the database itself refuses of money, whoever writes (L1, L3, L6, L7)."""

from uuid import uuid4

import asyncpg
import pytest

from domain.credits.granting import grant
from tests.integration.domain.credits.accounts import bonus, new_organization, posted, usage

ENTRY = {
    "type": "'bonus'",
    "debit": "'bonuses'",
    "credit": "'credits'",
    "amount_micro": "5",
    "balance_after_micro": "5",
    "number": "99",
    "refund_of": "null",
    "idempotency_key": "null",
    "fingerprint": "null",
    "requests": "0",
    "stored_at": "null",
    "first_at": "null",
    "last_at": "null",
}
USED = {
    "type": "'usage'",
    "debit": "'credits'",
    "credit": "'usage'",
    "requests": "1",
    "stored_at": "now()",
    "first_at": "now()",
    "last_at": "now()",
}


@pytest.fixture
async def connection(pool):
    """A connection whose changes vanish."""
    async with pool.acquire() as acquired:
        transaction = acquired.transaction()
        await transaction.start()
        yield acquired
        await transaction.rollback()


@pytest.fixture
async def owner(connection):
    made = await new_organization(connection)
    await posted(connection, bonus(made, 100), usage(made, 40))
    return made


async def refused(connection, statement, *values) -> asyncpg.PostgresError:
    with pytest.raises(asyncpg.IntegrityConstraintViolationError) as caught:
        async with connection.transaction():
            await connection.execute(statement, *values)
    return caught.value


async def write(connection, owner, **fields):
    row = ENTRY | fields
    await connection.execute(
        f"insert into credit_entry (organization_id, {', '.join(row)}) values ($1, {', '.join(row.values())})", owner
    )


@pytest.mark.parametrize(
    "statement",
    [
        "update credit_entry set amount_micro = amount_micro + 1 where organization_id = $1",
        "update credit_entry set reason = reason where organization_id = $1",
        "delete from credit_entry where organization_id = $1",
        "insert into credit_entry table credit_entry on conflict (id) do update set reason = $1::uuid::text",
    ],
)
async def test_l6_an_entry_is_never_changed_nor_deleted(connection, owner, statement):
    fault = await refused(connection, statement, owner)
    assert isinstance(fault, asyncpg.RestrictViolationError)
    assert "append-only" in str(fault)


@pytest.mark.parametrize("statement", ["truncate credit_entry cascade", "truncate organization cascade"])
async def test_l6_the_ledger_is_never_emptied(connection, owner, statement):
    assert "append-only" in str(await refused(connection, statement))
    assert await connection.fetchval("select count(*) from credit_entry where organization_id = $1", owner) == 2


@pytest.mark.parametrize("table", ["organization", "credit_entry"])
async def test_l6_what_the_ledger_speaks_of_is_not_deleted(connection, owner, table):
    column = "id" if table == "organization" else "organization_id"
    await refused(connection, f"delete from {table} where {column} = $1", owner)


@pytest.mark.parametrize(
    ("constraint", "fields"),
    [
        ("ck_credit_entry_amount_micro", {"amount_micro": "0"}),
        ("ck_credit_entry_amount_micro", {"amount_micro": "-5"}),
        ("ck_credit_entry_balance_after_micro", {"balance_after_micro": "-1"}),
        ("ck_credit_entry_accounts", {"type": "'gift'"}),
        ("ck_credit_entry_accounts", {"debit": "'credits'"}),
        ("ck_credit_entry_accounts", {"debit": "'usage'"}),
        ("ck_credit_entry_accounts", {"debit": "'credits'", "credit": "'bonuses'"}),
        ("ck_credit_entry_accounts", {"debit": "'bonuses'", "credit": "'purchases'"}),
        ("ck_credit_entry_accounts", USED | {"debit": "'usage'", "credit": "'credits'"}),
        ("ck_credit_entry_refund_of", {"type": "'refund'", "debit": "'usage'"}),
        ("ck_credit_entry_fingerprint", {"idempotency_key": "'k'"}),
        ("ck_credit_entry_fingerprint", {"fingerprint": "'\\x00'"}),
        ("ck_credit_entry_fingerprint", {"idempotency_key": "''", "fingerprint": "'\\x00'"}),
        ("ck_credit_entry_usage", USED | {"requests": "0"}),
        ("ck_credit_entry_usage", USED | {"stored_at": "null"}),
        ("ck_credit_entry_usage", USED | {"first_at": "null"}),
        ("ck_credit_entry_usage", {"requests": "1"}),
        ("ck_credit_entry_usage", {"last_at": "now()"}),
        ("uq_credit_entry_organization_id_number", {"number": "2"}),
    ],
)
async def test_l1_an_entry_that_makes_no_sense(connection, owner, constraint, fields):
    with pytest.raises(asyncpg.IntegrityConstraintViolationError) as caught:
        async with connection.transaction():
            await write(connection, owner, **fields)
    assert caught.value.constraint_name == constraint


async def test_l1_sensible_entries_are_taken(connection, owner):
    await write(connection, owner)
    await write(connection, owner, **USED, number="100")


async def test_l5_a_key_is_used_once_in_an_organization(connection, owner):
    given = {"idempotency_key": "'k'", "fingerprint": "'\\x00'"}
    await write(connection, owner, **given)
    with pytest.raises(asyncpg.UniqueViolationError):
        async with connection.transaction():
            await write(connection, owner, **given, number="100")
    await write(connection, await new_organization(connection), **given)


@pytest.mark.parametrize(
    ("constraint", "change"),
    [
        ("adds_up", "balance_micro = balance_micro + 1"),
        ("adds_up", "bonuses_micro = bonuses_micro + 1"),
        ("adds_up", "usage_micro = usage_micro - 1"),
        ("held", "leased_micro = 61"),
        ("held", "reserved_micro = 61"),
        ("held", "leased_micro = 31, reserved_micro = 30"),
        ("held", "leased_micro = -1"),
        ("held", "reserved_micro = -1, leased_micro = 1"),
        ("held", "balance_micro = -1, adjustments_micro = -61"),
        ("net", "usage_micro = -1, balance_micro = balance_micro + 41"),
        ("net", "purchases_micro = -1, balance_micro = balance_micro - 1"),
        ("net", "expiries_micro = -1, balance_micro = balance_micro + 1"),
        ("net", "bonuses_micro = -1, adjustments_micro = 101"),
    ],
)
async def test_l2_l3_an_account_that_does_not_add_up(connection, owner, constraint, change):
    fault = await refused(connection, f"update credit_account set {change} where organization_id = $1", owner)
    assert fault.constraint_name == f"ck_credit_account_{constraint}"


async def test_l3_all_that_is_there_may_be_held(connection, owner):
    await connection.execute(
        "update credit_account set leased_micro = 31, reserved_micro = 29 where organization_id = $1", owner
    )


@pytest.mark.parametrize("change", ["remaining_micro = -1", "remaining_micro = amount_micro + 1", "amount_micro = 0"])
async def test_l3_a_grant_holds_between_nothing_and_what_it_brought(connection, owner, change):
    fault = await refused(connection, f"update credit_grant set {change} where organization_id = $1", owner)
    assert fault.constraint_name == "ck_credit_grant_amounts"


async def test_one_account_for_an_organization_and_one_grant_for_an_entry(connection, owner):
    fault = await refused(connection, "insert into credit_account (organization_id) values ($1)", owner)
    assert fault.constraint_name == "uq_credit_account_organization_id"
    entry = (await grant(connection, owner, amount_micro=5, reason="r")).entry
    fault = await refused(
        connection,
        "insert into credit_grant (organization_id, entry_id, amount_micro, remaining_micro) values ($1, $2, 1, 1)",
        owner,
        entry.id,
    )
    assert fault.constraint_name == "uq_credit_grant_entry_id"


HOLDER = uuid4()


@pytest.mark.parametrize(
    "amounts", ["5, 3, 3, 0, 0", "5, -1, 0, 0, 0", "5, 0, -1, 0, 0", "5, 0, 6, 0, 0", "5, 0, 0, 0, -1"]
)
async def test_l8_a_lease_is_never_spent_beyond_its_amount(connection, owner, amounts):
    await connection.execute("insert into credit_holder (id) values ($1)", HOLDER)
    fault = await refused(
        connection,
        "insert into credit_lease (organization_id, holder_id, amount_micro, spent_micro, returned_micro, call,"
        f" granted_micro) values ($1, $2, {amounts})",
        owner,
        HOLDER,
    )
    assert fault.constraint_name == "ck_credit_lease_adds_up"


@pytest.mark.parametrize(
    ("constraint", "values"),
    [
        ("amounts", "0, 0, 'held', null"),
        ("amounts", "5, 6, 'settled', now()"),
        ("amounts", "5, -1, 'settled', now()"),
        ("ended", "5, 0, 'held', now()"),
        ("ended", "5, 0, 'released', null"),
        ("ended", "5, 1, 'released', now()"),
        ("ended", "5, 1, 'expired', now()"),
        ("state", "5, 0, 'lost', now()"),
    ],
)
async def test_l4_a_reservation_ends_once_and_never_above_what_was_held(connection, owner, constraint, values):
    await connection.execute("insert into credit_holder (id) values ($1)", HOLDER)
    fault = await refused(
        connection,
        "insert into credit_reservation (id, organization_id, holder_id, deadline, amount_micro, settled_micro, state,"
        f" ended_at) values ($3, $1, $2, now(), {values})",
        owner,
        HOLDER,
        uuid4(),
    )
    assert fault.constraint_name == f"ck_credit_reservation_{constraint}"
