"""Counts API keys that should be looked at; the report is the run's result."""

from domain.key_hygiene import look_at_keys
from jobs.work import Result, Work


async def run(work: Work) -> Result:
    """Counts of live keys, and who has most that nobody uses."""
    version = max(work.settings.keys.pepper_by_version, default=0)
    async with work.database.acquire() as connection:
        found = await look_at_keys(connection, work.now, version)
    return {**found.counts, "unused_by_organization": found.unused_by_organization}
