"""Releases reservations past their deadline, ends jobs past theirs and of closed organizations, and forgets leases of workers that ended long ago."""

from domain.async_jobs import sweeping
from domain.credits.sweeping import sweep
from jobs.work import Result, Work


async def run(work: Work) -> Result:
    """How many reservations were released, and how many jobs ended."""
    async with work.database.acquire() as connection:
        return {"released": await sweep(connection, work.now), "jobs": await sweeping.sweep_thoroughly(connection)}
