"""Brings subscriptions to where they stand: periods follow each other, and what counts by the period begins anew."""

from collections import Counter

from domain.renewals import settle_due
from jobs.work import Result, Work

BATCH = 500


async def run(work: Work) -> Result:
    """Every transition that is due now; how many of each kind."""
    made: Counter[str] = Counter()
    async with work.database.acquire() as connection:
        while True:
            batch = await settle_due(connection, now=work.now, most=BATCH)
            made.update(_kind(one.before.state, one.after.state) for one in batch)
            await work.progress(made.total(), made.total(), "subscriptions settled")
            if len(batch) < BATCH:
                return {"settled": made.total(), **made}


def _kind(before: str, after: str) -> str:
    return "renewed" if before == after else f"{before}_to_{after}"
