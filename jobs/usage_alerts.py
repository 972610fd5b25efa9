"""Tells customers of limits, quotas, spend caps and credits that run out, and operators of failures and costs: once each."""

import logging
from time import monotonic
from uuid import UUID

from domain.alerts.customers import NOWHERE, next_organizations
from domain.alerts.looking import Looker, Told, look_at_installation, look_at_organization
from domain.alerts.telling import Teller
from domain.faults import NotFound
from domain.job_run_reading import last_result
from jobs.work import Finding, Result, Work

log = logging.getLogger("paid_endpoint.jobs")

NAME = "usage-alerts"
BATCH = 200
MOST_SECONDS = 240.0
"""A run looks no longer than this; the next one goes on where it ended."""


async def run(work: Work) -> Result:
    """How many organizations were looked at, and what was told; `after` is where the next run goes on, if not all were.

    Raises Finding, with the same figures, where organizations could not be looked at: all others were, and somebody sees it.
    """
    settings = work.settings
    teller = Teller(settings.secrets, settings.portal.base_url, settings.admin.base_url)
    looker = Looker(settings.alerts, teller)
    begun, looked, broken, gone = monotonic(), 0, 0, 0
    async with work.database.acquire() as connection:
        told = await look_at_installation(connection, looker, work.now)
        after = UUID((await last_result(connection, NAME)).get("after") or str(NOWHERE))
        while batch := await next_organizations(connection, after, work.now, BATCH):
            for organization_id in batch:
                try:
                    told.add(await look_at_organization(connection, looker, organization_id, work.now))
                except NotFound as fault:
                    gone += 1
                    log.warning("alerts of %s: %s", organization_id, fault)
                except Exception:
                    # One that cannot be looked at is not to keep all others from being told; a lost connection is no one's.
                    if connection.is_closed():
                        raise
                    broken += 1
                    log.exception("alerts of %s", organization_id)
            looked, after = looked + len(batch), batch[-1]
            await work.progress(looked, looked, "organizations")
            if monotonic() - begun > MOST_SECONDS:
                return _ended({**_figures(told, looked, broken + gone), "after": str(after)}, broken)
    return _ended(_figures(told, looked, broken + gone), broken)


def _ended(figures: Result, broken: int) -> Result:
    if broken:
        raise Finding(f"{broken} organizations could not be looked at; the log has why. All others were.", figures)
    return figures


def _figures(told: Told, looked: int, failed: int) -> Result:
    figures = {"looked_at": looked, "told": told.levels, "mails": told.mails, "armed_again": told.armed}
    return {**figures, "failed": failed} if failed else figures
