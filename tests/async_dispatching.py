"""A dispatcher of jobs in a process of its own, by the environment; it runs until it is killed."""

import asyncio

from domain.async_jobs.dispatcher import Dispatcher
from domain.databases import open_pool
from domain.settings import load_settings


async def main() -> None:
    """Send jobs."""
    settings = load_settings()
    await Dispatcher(await open_pool(settings.database, "dispatcher of a test"), settings).run()


if __name__ == "__main__":
    asyncio.run(main())
