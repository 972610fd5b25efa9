"""Ends what workers hold whose journals are lost for ever, by an operator's word; other journals end by themselves."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from domain.credits import leasing, reservations
from domain.credits.posting import lock_accounts
from domain.faults import NotFound
from domain.replays import close_running

_HOLDERS = """
select h.id, h.created_at, max(l.renewed_at) as renewed_at,
       coalesce(sum(l.amount_micro - l.spent_micro - l.returned_micro), 0)::bigint as leased_micro,
       coalesce((select sum(r.amount_micro) from credit_reservation r where r.holder_id = h.id and r.state = 'held'), 0)::bigint
         as reserved_micro
  from credit_holder h left join credit_lease l on l.holder_id = h.id
 where h.closed_at is null group by h.id order by h.created_at, h.id
"""


@dataclass(frozen=True, slots=True)
class OpenHolder:
    """A worker whose journal has not ended: what it holds of all organizations, in micro-credits, and when it last asked."""

    id: UUID
    created_at: datetime
    renewed_at: datetime | None
    leased_micro: int
    reserved_micro: int


async def list_holders(connection: Any) -> list[OpenHolder]:
    """Oldest first."""
    return [OpenHolder(**dict(row)) for row in await connection.fetch(_HOLDERS)]


async def release_holder(connection: Any, holder_id: UUID) -> OpenHolder:
    """`release_holders` for one that is open; what it held. Raises NotFound."""
    held = {holder.id: holder for holder in await list_holders(connection)}.get(holder_id)
    if held is None:
        raise NotFound(f"No worker {holder_id} holds credits: it has ended, or never asked for any.")
    await release_holders(connection, [holder_id])
    return held


async def release_holders(connection: Any, holder_ids: Iterable[UUID]) -> None:
    """An operator's word that these workers' journals are lost for ever: what they hold unspent is available again.

    In a transaction of its own. Should a journal come back after all, its charges are taken from what is available then.
    """
    over = sorted(holder_ids)
    async with connection.transaction():
        await leasing.close_holders(connection, over)
        await close_running(connection, over, lost=True)
        owners = {*await leasing.organizations_of(connection, over)}
        owners |= set((await reservations.held_by(connection, over)).values())
        if not owners:
            return
        await lock_accounts(connection, owners)
        leased = await leasing.give_back(connection, over)
        reserved = await reservations.release(connection, over)
        await leasing.unhold(connection, {each: (leased.get(each, 0), reserved.get(each, 0)) for each in owners})
