"""Delivering webhooks beside the requests of the portal, unless another process is to do it."""

from domain.webhooks.deliverer import Deliverer
from portal.services import Services


async def deliver_webhooks(services: Services) -> None:
    """Deliver until cancelled; at once back if WEBHOOK_DELIVER is off."""
    settings = services.settings
    if settings.webhooks.deliver:
        portal_url = settings.portal.base_url
        await Deliverer(services.database, settings.webhooks, settings.secrets, portal_url=portal_url).run()
