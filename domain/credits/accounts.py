"""What an organization has: its balance, what is held of it, what it can spend, and what expires next."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

_BALANCE = """
select coalesce(a.balance_micro, 0) as balance_micro, coalesce(a.leased_micro, 0) as leased_micro,
       coalesce(a.reserved_micro, 0) as reserved_micro,
       coalesce((select sum(g.remaining_micro)::bigint from credit_grant g
                  where g.organization_id = $1 and g.remaining_micro > 0 and g.expires_at <= now()), 0) as due_micro,
       n.expires_at as next_expiry_at, n.expiring as next_expiry_micro
  from (select) as one
  left join credit_account a on a.organization_id = $1
  left join lateral (
    select g.expires_at, sum(g.remaining_micro)::bigint as expiring from credit_grant g
     where g.organization_id = $1 and g.remaining_micro > 0 and g.expires_at > now()
     group by g.expires_at order by g.expires_at limit 1) as n on true
"""


@dataclass(frozen=True, slots=True)
class Balance:
    """In micro-credits. `available` is what can be leased or reserved now: not what is held, nor what has expired.

    Leased credits are in the hands of gateway workers, reserved ones held for requests under way; both are spent or come
    back. At `next_expiry_at` at most `next_expiry_micro` is lost; both are None if nothing expires.
    """

    balance_micro: int
    leased_micro: int
    reserved_micro: int
    available_micro: int
    next_expiry_at: datetime | None
    next_expiry_micro: int | None


async def fetch_balance(connection: Any, organization_id: UUID) -> Balance:
    """One organization's balance; all 0 for one that never had credits. Not locked: it may change at once."""
    row = await connection.fetchrow(_BALANCE, organization_id)
    unheld = row["balance_micro"] - row["leased_micro"] - row["reserved_micro"]
    return Balance(
        row["balance_micro"],
        row["leased_micro"],
        row["reserved_micro"],
        max(0, unheld - row["due_micro"]),
        row["next_expiry_at"],
        row["next_expiry_micro"],
    )
