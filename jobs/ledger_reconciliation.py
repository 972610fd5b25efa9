"""Proves that the ledger adds up; if it does not, the run fails, says so, and keeps what it found."""

from dataclasses import asdict

from domain.credits.reconciling import reconcile
from domain.log_store.store import open_logs
from jobs.work import Finding, Result, Work

MOST_TOLD = 50


async def run(work: Work) -> Result:
    """What was compared. Raises Finding."""
    async with open_logs(work.settings) as logs, work.database.acquire() as connection:
        found = await reconcile(connection, logs)
    result = {name: value for name, value in asdict(found).items() if name != "drifts"}
    if not found.drifts:
        return result
    told = [
        {"organization": one.organization, "what": one.what, "expected": one.expected, "found": one.found}
        for one in found.drifts[:MOST_TOLD]
    ]
    organizations = len({one.organization for one in found.drifts})
    raise Finding(
        f"The ledger does not add up: {len(found.drifts)} drifts in {organizations} organizations.",
        {**result, "drifts": len(found.drifts), "first_drifts": told},
    )
