"""What gateways and ingesters do to an account beside the ledger: lend and take back, hold and settle, store requests."""

from datetime import timedelta
from uuid import UUID, uuid4

from domain.credits.movements import Movement
from domain.credits.posting import lock_accounts, post
from domain.request_ids import new_request_id
from schema.credits import EntryType

LEND = """
with lent as (
  update credit_account set leased_micro = leased_micro + $3
   where organization_id = $1 and balance_micro - leased_micro - reserved_micro >= $3 returning organization_id
)
insert into credit_lease as l (organization_id, holder_id, amount_micro) select organization_id, $2, $3 from lent
on conflict on constraint uq_credit_lease_organization_id_holder_id do update
   set amount_micro = l.amount_micro + excluded.amount_micro
returning amount_micro
"""
TAKE_BACK = """
with back as (
  update credit_lease set returned_micro = returned_micro + $3
   where organization_id = $1 and holder_id = $2 and amount_micro - spent_micro - returned_micro >= $3
  returning organization_id
)
update credit_account a set leased_micro = leased_micro - $3 from back where a.organization_id = back.organization_id
returning a.leased_micro
"""
HOLD = """
with held as (
  update credit_account set reserved_micro = reserved_micro + $4
   where organization_id = $2 and balance_micro - leased_micro - reserved_micro >= $4 returning organization_id
)
insert into credit_reservation (id, organization_id, holder_id, amount_micro, deadline)
select $1, organization_id, $3, $4, now() from held returning id
"""
END = """
update credit_reservation set state = $2, settled_micro = $3, ended_at = now()
 where id = $1 and state = 'held' and amount_micro >= $3 returning organization_id, amount_micro
"""
SPEND = """
update credit_lease l set spent_micro = spent_micro + c.cost from unnest($2::uuid[], $3::bigint[]) as c (owner, cost)
 where l.organization_id = c.owner and l.holder_id = $1
"""
STORE = """
insert into request_log (id, at, organization_id, method, path, status, outcome, total_us, bytes_in, bytes_out, cost_micro)
values ($1, $2, $3, 'GET', '/', 200, 'served', 1, 0, 0, $4)
"""


async def lend(connection, owner: UUID, holder: UUID, amount: int) -> bool:
    """Whether there was so much; the caller holds the account's lock."""
    return await connection.fetchval(LEND, owner, holder, amount) is not None


async def take_back(connection, owner: UUID, holder: UUID, amount: int) -> bool:
    return await connection.fetchval(TAKE_BACK, owner, holder, amount) is not None


async def hold(connection, owner: UUID, holder: UUID, amount: int) -> UUID | None:
    """A new reservation, None if there is not so much."""
    return await connection.fetchval(HOLD, uuid4(), owner, holder, amount)


async def settle(connection, owner: UUID, reservation: UUID, cost: int) -> bool:
    """End a reservation with its cost, 0 releases it; False if it has ended before, and then nothing changes."""
    async with connection.transaction():
        await lock_accounts(connection, [owner])
        row = await connection.fetchrow(END, reservation, "settled" if cost else "released", cost)
        if row is None:
            return False
        if cost:
            await _post(connection, {owner: [cost]}, reserved={owner: row["amount_micro"]})
        else:
            await connection.execute(
                "update credit_account set reserved_micro = reserved_micro - $2 where organization_id = $1",
                owner,
                row["amount_micro"],
            )
        return True


async def charge(connection, holder: UUID, costs: dict[UUID, list[int]]):
    """Store requests and post them out of the holder's leases, in one transaction; the caller's, if it is in one."""
    async with connection.transaction():
        await lock_accounts(connection, costs)
        sums = {owner: sum(amounts) for owner, amounts in costs.items()}
        await connection.execute(SPEND, holder, list(sums), list(sums.values()))
        return await _post(connection, costs, leased=sums)


async def _post(connection, costs, *, leased=None, reserved=None):
    now = await connection.fetchval("select now()")
    rows = [
        (new_request_id(), now - timedelta(microseconds=number), owner, cost)
        for owner, amounts in costs.items()
        for number, cost in enumerate(amounts)
    ]
    await connection.executemany(STORE, rows)
    return await post(
        connection,
        [
            Movement(
                organization_id=owner,
                type=EntryType.USAGE,
                amount_micro=sum(amounts),
                incoming=False,
                leased_micro=-(leased or {}).get(owner, 0),
                reserved_micro=-(reserved or {}).get(owner, 0),
                requests=len(amounts),
                stored_at=now,
                first_at=now - timedelta(microseconds=len(amounts) - 1),
                last_at=now,
            )
            for owner, amounts in costs.items()
        ],
    )
