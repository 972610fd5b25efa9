"""Releases reservations past their deadline and forgets leases of workers that ended long ago."""

from domain.credits.sweeping import sweep
from jobs.work import Result, Work


async def run(work: Work) -> Result:
    """How many reservations were released."""
    async with work.database.acquire() as connection:
        return {"released": await sweep(connection, work.now)}
