"""Grants that are due: what remains of them and is available is lost. What is leased or reserved stays until it is back."""

from collections.abc import Collection
from typing import Any
from uuid import UUID

from domain.credits.burning import BURN_ORDER
from domain.credits.movements import Movement, PostedEntry
from domain.credits.posting import lock_accounts, post
from schema.credits import EntryType

_DUE = f"""
select organization_id, id, number, least(remaining_micro, available - before)::bigint as amount from (
  select g.organization_id, g.id, e.number, g.remaining_micro,
         a.balance_micro - a.leased_micro - a.reserved_micro as available,
         sum(g.remaining_micro) over (partition by g.organization_id order by {BURN_ORDER} rows unbounded preceding)
         - g.remaining_micro as before
    from credit_grant g join credit_entry e on e.id = g.entry_id
    join credit_account a on a.organization_id = g.organization_id
   where g.organization_id = any($1::uuid[]) and g.remaining_micro > 0 and g.expires_at <= now()) as due
 where available > before
"""

_ORGANIZATIONS = """
select distinct g.organization_id from credit_grant g join credit_account a using (organization_id)
 where g.remaining_micro > 0 and g.expires_at <= now() and a.balance_micro > a.leased_micro + a.reserved_micro
 limit $1
"""


async def expire_due(connection: Any, organization_ids: Collection[UUID]) -> list[PostedEntry]:
    """Post the expiry of what is due at the transaction's now(), of accounts that the caller has locked.

    One read of an index if nothing is. Balances read before it are no longer right if it returns entries.
    """
    rows = await connection.fetch(_DUE, list(organization_ids))
    return await post(
        connection,
        [
            Movement(
                organization_id=row["organization_id"],
                type=EntryType.EXPIRY,
                amount_micro=row["amount"],
                incoming=False,
                grant_id=row["id"],
                reason=f"What remained of entry {row['number']}.",
            )
            for row in rows
        ],
    )


async def expire_all(connection: Any, *, most: int = 1_000) -> list[PostedEntry]:
    """Post what is due of at most `most` organizations, in one transaction; call it again until it returns nothing."""
    async with connection.transaction():
        organization_ids = [row["organization_id"] for row in await connection.fetch(_ORGANIZATIONS, most)]
        if not organization_ids:
            return []
        await lock_accounts(connection, organization_ids)
        return await expire_due(connection, organization_ids)
