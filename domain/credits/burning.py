"""Grants: made by what comes in, burned by what goes out. Their remainders are the balance, at every commit.

The caller has locked the accounts (`domain.credits.posting`), so nobody else changes these grants meanwhile.
"""

from collections.abc import Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

BURN_ORDER = "g.priority, g.expires_at nulls last, g.created_at, g.id"
"""Which grant of an organization burns first."""

_MAKE = """
insert into credit_grant (id, created_at, organization_id, entry_id, amount_micro, remaining_micro, priority, expires_at)
select g.entry_id, now(), g.organization_id, g.entry_id, g.amount, g.amount, g.priority, g.expires_at
  from unnest($1::uuid[], $2::uuid[], $3::bigint[], $4::smallint[], $5::timestamptz[])
       as g (organization_id, entry_id, amount, priority, expires_at)
"""

_BURN_THESE = """
update credit_grant as g set remaining_micro = g.remaining_micro - d.amount
  from (select id, sum(amount)::bigint as amount from unnest($1::uuid[], $2::bigint[]) as u (id, amount) group by id) as d
 where g.id = d.id
returning d.amount
"""

_BURN = f"""
with due as (
  select organization_id, sum(amount)::bigint as amount
    from unnest($1::uuid[], $2::bigint[]) as u (organization_id, amount) group by organization_id
), line as (
  select g.id, g.remaining_micro, due.amount,
         (sum(g.remaining_micro) over (partition by g.organization_id order by {BURN_ORDER} rows unbounded preceding)
          - g.remaining_micro)::bigint as before
    from due join credit_grant as g on g.organization_id = due.organization_id and g.remaining_micro > 0
), burned as (
  update credit_grant as g
     set remaining_micro = g.remaining_micro - least(line.remaining_micro, line.amount - line.before)
    from line where g.id = line.id and line.before < line.amount
  returning least(line.remaining_micro, line.amount - line.before) as amount
)
select coalesce(sum(amount), 0)::bigint from burned
"""

Grant = tuple[UUID, UUID, int, int, datetime | None]
"""Organization, the entry that brings it, micro-credits, priority, when it expires."""


class GrantsDoNotAddUp(RuntimeError):  # noqa: N818  the sentence is the name
    """The grants hold less than the account says: the ledger was changed by somebody else. Nothing is posted."""


async def make_grants(connection: Any, grants: Sequence[Grant]) -> None:
    """One grant for each entry that comes in; it has the entry's id."""
    if grants:
        await connection.execute(_MAKE, *map(list, zip(*grants, strict=True)))


async def burn_grants(connection: Any, amounts: Sequence[tuple[UUID, int]]) -> None:
    """Take micro-credits out of grants by their ids.

    Raises GrantsDoNotAddUp for an unknown id, asyncpg.CheckViolationError for more than remains.
    """
    if not amounts:
        return
    rows = await connection.fetch(_BURN_THESE, *map(list, zip(*amounts, strict=True)))
    _compare(sum(row["amount"] for row in rows), amounts)


async def burn(connection: Any, amounts: Sequence[tuple[UUID, int]]) -> None:
    """Take micro-credits out of each organization's grants, in their order. Raises GrantsDoNotAddUp."""
    if not amounts:
        return
    burned = await connection.fetchval(_BURN, *map(list, zip(*amounts, strict=True)))
    _compare(burned, amounts)


def _compare(burned: int, amounts: Sequence[tuple[UUID, int]]) -> None:
    wanted = sum(amount for _, amount in amounts)
    if burned != wanted:
        raise GrantsDoNotAddUp(f"{wanted} micro-credits were to be burned, the grants hold {burned}: reconcile")
