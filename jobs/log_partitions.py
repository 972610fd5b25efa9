"""Makes the request log's tables ahead, and drops those that are old enough."""

from datetime import UTC

from domain.log_dropping import drop_expired, span
from domain.partitions import AHEAD, ensure_partitions
from jobs.work import Result, Work


async def run(work: Work) -> Result:
    """Days made, dropped, and kept although they are old, with the reason."""
    now = work.now
    async with work.database.acquire() as connection:
        made = await ensure_partitions(connection, *span(now.astimezone(UTC).date(), AHEAD))
        done = await drop_expired(connection, now, work.settings.logs.retention_days)
    return {
        "made": len(made),
        "dropped": [day.isoformat() for day in done.dropped],
        "kept": {day.isoformat(): reason for day, reason in done.kept.items()},
    }
