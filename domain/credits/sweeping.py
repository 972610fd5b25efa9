"""Housekeeping of what was held: overdue reservations are released, leases of workers that ended long ago forgotten."""

from datetime import datetime, timedelta
from typing import Any

from domain.credits.reservations import expire_overdue

FORGOTTEN_AFTER = timedelta(days=7)
"""A closed holder stays, so that nothing is ever granted to it; what it held is nothing but a sum of zeros."""
_MOST = 500
_FORGET = """
delete from credit_lease where id in (
  select l.id from credit_holder h join credit_lease l on l.holder_id = h.id
   where h.closed_at < $1 and l.amount_micro = l.spent_micro + l.returned_micro limit $2)
"""


async def sweep(connection: Any, now: datetime) -> int:
    """Everything that is due; how many reservations were released. Each step is a transaction of its own."""
    released = 0
    while True:
        found = await expire_overdue(connection, now, _MOST)
        released += found
        if found < _MOST:
            break
    await connection.execute(_FORGET, now - FORGOTTEN_AFTER, 10 * _MOST)
    return released
