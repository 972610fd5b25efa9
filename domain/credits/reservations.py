"""Reservations in PostgreSQL: credits held for one request, under its id, until its cost is posted. Hold and end, once each.

Locks: the holder, then the account (`domain.credits.leasing`). The ingester settles (`domain.ingesting.charges`).
"""

from collections.abc import Sequence
from datetime import datetime
from typing import Any, NamedTuple
from uuid import UUID

from domain.credits.expiring import expire_due
from domain.credits.leasing import admit_holder, notify, unhold
from domain.credits.posting import lock_accounts

_HELD_ALREADY = "select amount_micro from credit_reservation where id = $1 and state = 'held'"
_HOLD = """
with held as (
  update credit_account set reserved_micro = reserved_micro + $5
   where organization_id = $3 and balance_micro - leased_micro - reserved_micro >= $5 returning organization_id
)
insert into credit_reservation (id, holder_id, organization_id, operation_id, amount_micro, deadline)
select $1, $2, organization_id, $4, $5, $6 from held
"""
_PROLONG = "update credit_reservation set deadline = $2 where id = any($1::uuid[]) and state = 'held'"
_OVERDUE = """
select id, organization_id from credit_reservation where state = 'held' and deadline < $1 order by deadline limit $2
"""
_EXPIRE = """
with due as (
  update credit_reservation set state = 'expired', ended_at = now()
   where id = any($1::uuid[]) and state = 'held' and deadline < $2 returning organization_id, amount_micro
)
select organization_id, sum(amount_micro)::bigint as amount, count(*) as number from due group by organization_id
"""
_RELEASE = """
with ended as (
  update credit_reservation set state = 'released', ended_at = now()
   where holder_id = any($1::uuid[]) and state = 'held' returning organization_id, amount_micro
)
select organization_id, sum(amount_micro)::bigint as amount from ended group by organization_id
"""
_SETTLE = """
update credit_reservation r
   set state = case when c.cost > 0 then 'settled' else 'released' end, ended_at = now(),
       settled_micro = least(greatest(c.cost, 0), r.amount_micro)
  from unnest($1::uuid[], $2::bigint[]) as c (id, cost) where r.id = c.id and r.state = 'held'
returning r.id, r.organization_id, r.amount_micro, r.settled_micro
"""
_HELD_BY = "select id, organization_id from credit_reservation where holder_id = any($1::uuid[]) and state = 'held'"


class Reservation(NamedTuple):
    """What is to be held: `id` is the request's, amounts in micro-credits."""

    id: UUID
    organization_id: UUID
    operation_id: UUID | None
    amount: int
    deadline: datetime


class Held(NamedTuple):
    """Whether it is held. `available` is what nobody holds then, `elsewhere` what leases hold."""

    done: bool
    available: int
    elsewhere: int


async def hold(connection: Any, holder_id: UUID, wanted: Reservation, *, recall: bool) -> Held:
    """One transaction; made twice, it holds once. With `recall` others are asked where it is not enough.

    Raises HolderClosed, and what asyncpg raises of an id that was held and has ended.
    """
    async with connection.transaction():
        await admit_holder(connection, holder_id)
        owner = [wanted.organization_id]
        account = (await lock_accounts(connection, owner))[wanted.organization_id]
        available = account.available_micro - sum(entry.amount_micro for entry in await expire_due(connection, owner))
        if await connection.fetchval(_HELD_ALREADY, wanted.id) is not None:
            return Held(done=True, available=available, elsewhere=account.leased_micro)
        if available >= wanted.amount:
            await connection.execute(
                _HOLD, wanted.id, holder_id, wanted.organization_id, wanted.operation_id, wanted.amount, wanted.deadline
            )
            return Held(done=True, available=available - wanted.amount, elsewhere=account.leased_micro)
        if recall and account.leased_micro > 0:
            # In the name of nobody: this worker's own wallet gives back too.
            await notify(connection, UUID(int=0), [wanted.organization_id])
        return Held(done=False, available=available, elsewhere=account.leased_micro)


async def let_go(connection: Any, request_id: UUID, organization_id: UUID) -> None:
    """Release one that is held still; harmless otherwise."""
    async with connection.transaction():
        await lock_accounts(connection, [organization_id])
        for row in await settle(connection, [(request_id, 0)]):
            await unhold(connection, {row["organization_id"]: (0, row["amount_micro"])})


async def prolong(connection: Any, ids: Sequence[UUID], deadline: datetime) -> None:
    """A living worker's word that these requests are under way."""
    await connection.execute(_PROLONG, list(ids), deadline)


async def expire_overdue(connection: Any, now: datetime, most: int = 500) -> int:
    """Release what is past its deadline, up to `most` of it, in one transaction; how many. Run again while it is `most`."""
    async with connection.transaction():
        rows = await connection.fetch(_OVERDUE, now, most)
        if not rows:
            return 0
        await lock_accounts(connection, {row["organization_id"] for row in rows})
        ended = await connection.fetch(_EXPIRE, [row["id"] for row in rows], now)
        await unhold(connection, {row["organization_id"]: (0, row["amount"]) for row in ended})
    return sum(row["number"] for row in ended)


async def held_by(connection: Any, holder_ids: Sequence[UUID]) -> dict[UUID, UUID]:
    """Organizations by the ids of the requests for which these holders hold something."""
    return {row["id"]: row["organization_id"] for row in await connection.fetch(_HELD_BY, list(holder_ids))}


async def settle(connection: Any, costs: Sequence[tuple[UUID, int]]) -> list[Any]:
    """End reservations whose accounts are locked, with what their requests cost. Rows of those that were held still:
    id, organization_id, amount_micro, settled_micro. The caller takes them out of the accounts.
    """
    if not costs:
        return []
    ids, amounts = zip(*costs, strict=True)
    return list(await connection.fetch(_SETTLE, list(ids), list(amounts)))


async def release(connection: Any, holder_ids: Sequence[UUID]) -> dict[UUID, int]:
    """End what closed holders hold of locked accounts; what comes back of each. The caller takes it out of the accounts."""
    return {row["organization_id"]: row["amount"] for row in await connection.fetch(_RELEASE, list(holder_ids))}
