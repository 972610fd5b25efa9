"""What runs beside the requests of a portal process until it stops."""

import asyncio
import logging
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager

from domain.mailing import Mailer
from portal.dispatching import dispatch_jobs
from portal.erasing import erase_due_accounts
from portal.services import Services
from portal.webhook_delivery import deliver_webhooks


async def deliver_mails(services: Services) -> None:
    """Send what is in the outbox."""
    await Mailer(services.database, services.settings).run()


log = logging.getLogger("paid_endpoint.portal")

AGAIN_SECONDS = 3.0
Task = Callable[[Services], Awaitable[None]]
TASKS: tuple[Task, ...] = (deliver_mails, deliver_webhooks, dispatch_jobs, erase_due_accounts)
"""Each runs until it is cancelled. What it does not look after itself is logged, and it begins anew."""


@asynccontextmanager
async def running(services: Services, wanted: Sequence[Task] = TASKS) -> AsyncIterator[None]:
    """Run every task; cancel them all at the end."""
    tasks = [asyncio.ensure_future(_kept_up(task, services)) for task in wanted]
    try:
        yield
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


async def _kept_up(task: Task, services: Services) -> None:
    # One that ended in silence would keep everybody's mails back until somebody wonders.
    while True:
        try:
            await task(services)
        except Exception:
            log.exception("%s broke, and begins anew", task.__name__)
            await asyncio.sleep(AGAIN_SECONDS)
        else:
            return
