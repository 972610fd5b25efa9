"""Sending jobs upstream beside the requests of the portal, unless another process is to do it."""

from domain.async_jobs.dispatcher import Dispatcher
from portal.services import Services


async def dispatch_jobs(services: Services) -> None:
    """Send until cancelled; at once back if ASYNC_DISPATCH is off."""
    if services.settings.asynchronous.dispatch:
        await Dispatcher(services.database, services.settings).run()
