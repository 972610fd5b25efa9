"""What an organization is told of its credits; null for what cannot be read."""

import logging
from dataclasses import dataclass
from uuid import UUID

import asyncpg

from domain.databases import AWAY

log = logging.getLogger(__name__)

_READING_SECONDS = 2
_FAULTS = AWAY
_STANDING = """
select coalesce(a.balance_micro, 0) as balance, coalesce(a.reserved_micro, 0) as reserved,
       (select count(*) from credit_reservation r where r.organization_id = $1 and r.state = 'held')
       + (select count(*) from async_job j where j.organization_id = $1 and j.ended_at is null and j.price_micro > 0)
         as reservations
  from (select) as one left join credit_account a on a.organization_id = $1
"""


@dataclass(frozen=True, slots=True)
class Standing:
    """Micro-credits. What workers hold is the organization's own and still to be spent, so it is not taken off."""

    balance: int
    reserved: int
    reservations: int

    @property
    def available(self) -> int:
        """What is not held for requests under way."""
        return self.balance - self.reserved


async def read_standing(database: "asyncpg.Pool", organization_id: UUID) -> Standing | None:
    """As the ledger has it, which is about 0.1 s behind the requests; None while the database is away."""
    try:
        row = await database.fetchrow(_STANDING, organization_id, timeout=_READING_SECONDS)
    except _FAULTS as fault:
        log.warning("credits can't be read: %s", fault)
        return None
    assert row is not None  # it begins with a row
    return Standing(row["balance"], row["reserved"], row["reservations"])
