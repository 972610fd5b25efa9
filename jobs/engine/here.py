"""Runs a job in the process that asks for it, without the queue; under the same lock and in the same rows."""

import asyncio
from uuid import UUID

from domain.settings import Settings
from jobs.engine.process import opened
from jobs.engine.running import Outcome, backoff_seconds, perform
from jobs.registry import Job

BUSY_SECONDS = 1.0


async def run_here(settings: Settings, job: Job, run_id: UUID) -> None:
    """Until it has succeeded or failed for good, with the pauses between attempts; waits while another run is under way."""
    attempt = 1
    async with opened(settings) as context:
        while True:
            outcome = await perform(context, job, f"run-{run_id}")
            if outcome is Outcome.BUSY:
                await asyncio.sleep(BUSY_SECONDS)
            elif outcome is Outcome.AGAIN:
                await asyncio.sleep(backoff_seconds(job, attempt))
                attempt += 1
            else:
                return
