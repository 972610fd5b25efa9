"""Links what was written to the audit to its chain."""

from domain.audit_chain.sealing import BATCH, seal
from jobs.work import Result, Work

ROUND = 10 * BATCH


async def run(work: Work) -> Result:
    """How many entries were sealed."""
    sealed = 0
    async with work.database.acquire() as connection:
        while step := await seal(connection, most=ROUND):
            sealed += step
            await work.progress(sealed, sealed, "entries sealed")
    return {"sealed": sealed}
