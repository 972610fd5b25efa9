"""Posts the expiry of credits whose time has passed and that nobody holds."""

from domain.credits.expiring import expire_all
from jobs.work import Result, Work

BATCH = 200
"""Organizations whose accounts are locked at once."""


async def run(work: Work) -> Result:
    """How many grants expired, and how many micro-credits were lost with them."""
    grants = amount = 0
    async with work.database.acquire() as connection:
        while entries := await expire_all(connection, most=BATCH):
            grants += len(entries)
            amount += sum(entry.amount_micro for entry in entries)
            await work.progress(grants, grants, "grants expired")
    return {"grants": grants, "micro_credits": amount}
