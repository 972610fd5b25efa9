"""Erases accounts whose days of grace are over, once an hour in every portal: it may happen twice at once."""

import asyncio
import logging
from datetime import UTC, datetime

from domain.identity.deletion import delete_due
from portal.services import Services

log = logging.getLogger("paid_endpoint.portal")
SECONDS = 3_600


async def erase_due_accounts(services: Services) -> None:
    """Run until cancelled; a fault is told and tried again the next time."""
    while True:
        try:
            async with services.database.acquire() as connection:
                erased = await delete_due(connection, services.settings.secrets, datetime.now(UTC))
            if erased:
                log.info("erased %s accounts", erased)
        except Exception:
            log.exception("accounts that are due could not be erased")
        await asyncio.sleep(SECONDS)
