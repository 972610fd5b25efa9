"""Sums up the request logs of every day that is over, by organization, key, service and operation."""

from datetime import UTC

from domain.log_summaries import days_before, summarise
from jobs.work import Result, Work


async def run(work: Work) -> Result:
    """Of one day, if one is asked for; else of all days whose logs are there, which is quick where nothing is new."""
    async with work.database.acquire() as connection:
        days = [work.day] if work.day else await days_before(connection, work.now.astimezone(UTC).date())
        rows = written = 0
        for number, day in enumerate(days):
            await work.progress(number, len(days), day.isoformat())
            done = await summarise(connection, day, again=work.day is not None)
            rows, written = rows + done.rows, written + done.written
        await work.progress(len(days), len(days), "done")
    return {"days": len(days), "rows": rows, "summaries_written": written}
