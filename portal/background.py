"""What runs beside the requests of a portal process until it stops."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

from portal.erasing import erase_due_accounts
from portal.services import Services

TASKS: tuple[Callable[[Services], Awaitable[None]], ...] = (erase_due_accounts,)
"""Each runs until it is cancelled, and looks after its own faults."""


@asynccontextmanager
async def running(services: Services) -> AsyncIterator[None]:
    """Run every task; cancel them all at the end."""
    tasks = [asyncio.ensure_future(task(services)) for task in TASKS]
    try:
        yield
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
