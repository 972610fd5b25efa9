"""What runs beside the requests of a portal process until it stops."""

import asyncio
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


Task = Callable[[Services], Awaitable[None]]
TASKS: tuple[Task, ...] = (deliver_mails, deliver_webhooks, dispatch_jobs, erase_due_accounts)
"""Each runs until it is cancelled, and looks after its own faults."""


@asynccontextmanager
async def running(services: Services, wanted: Sequence[Task] = TASKS) -> AsyncIterator[None]:
    """Run every task; cancel them all at the end."""
    tasks = [asyncio.ensure_future(task(services)) for task in wanted]
    try:
        yield
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
