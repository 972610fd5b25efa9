"""At most so many at a time of each owner: whoever waits for what one owner has locked waits behind his own, and takes no
more of what everybody shares.
"""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from uuid import UUID


class Turns:
    """Belongs to one event loop. Owners who have nobody here cost nothing."""

    def __init__(self, most: int) -> None:
        self._most = most
        self._places: dict[UUID, asyncio.Semaphore] = {}
        self._here: dict[UUID, int] = {}

    def __len__(self) -> int:
        return len(self._here)

    @asynccontextmanager
    async def of(self, owner: UUID, seconds: float | None = None) -> AsyncIterator[None]:
        """One of the owner's places, first come, first served. Raises TimeoutError where there is none within `seconds`."""
        places = self._places.setdefault(owner, asyncio.Semaphore(self._most))
        self._here[owner] = self._here.get(owner, 0) + 1
        try:
            async with asyncio.timeout(seconds):
                await places.acquire()
            try:
                yield
            finally:
                places.release()
        finally:
            self._here[owner] -= 1
            if not self._here[owner]:
                del self._here[owner], self._places[owner]
