"""Deletes what nobody needs any more, in bounded batches: dead sessions and links, sent mails, old runs of jobs.

And addresses of which a digest is enough: claims of trials that were begun without SECRET_KEYS.
"""

from domain.async_jobs.sweeping import delete_ended, drop_results
from domain.forgetting import BATCH, KINDS, ages, forget
from domain.job_run_reading import delete_old
from domain.trials import SEALED_AT_ONCE, seal_claims
from jobs.work import Result, Work


async def run(work: Work) -> Result:
    """How many rows of each kind went."""
    kept, deleted = ages(work.settings), dict.fromkeys(KINDS, 0)
    async with work.database.acquire() as connection:
        for number, kind in enumerate(KINDS):
            await work.progress(number, len(KINDS), kind)
            while step := await forget(connection, kind, work.now - kept[kind]):
                deleted[kind] += step
                if step < BATCH:
                    break
        runs = 0
        while step := await delete_old(connection, work.now, work.settings.jobs.history_days):
            runs += step
        sealed = 0
        while step := await seal_claims(connection, work.settings.secrets):
            sealed += step
            if step < SEALED_AT_ONCE:
                break
        asynchronous = work.settings.asynchronous
        deleted["results of jobs"] = await drop_results(connection, work.now, asynchronous.result_days)
        deleted["asynchronous jobs"] = await delete_ended(connection, work.now, asynchronous.days)
    counts = deleted | {"addresses of trials sealed": sealed}
    return {kind: count for kind, count in counts.items() if count} | {"runs of jobs": runs}
