"""Writes to owners and who pays before a trial, a period or a subscription ends: once for each end."""

from collections import Counter
from datetime import timedelta

from domain.reminders import remind_due
from jobs.work import Result, Work

BATCH = 200


async def run(work: Work) -> Result:
    """How many organizations were told what, and how many mails that made."""
    told: Counter[str] = Counter()
    mails = 0
    async with work.database.acquire() as connection:
        while True:
            batch = await remind_due(
                connection,
                work.settings.secrets,
                work.settings.portal.base_url,
                work.now,
                timedelta(days=work.settings.jobs.reminder_days),
                most=BATCH,
            )
            told.update(reminder.kind for reminder in batch)
            mails += sum(reminder.mails for reminder in batch)
            if len(batch) < BATCH:
                return {**told, "mails": mails}
