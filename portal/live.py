"""Usage as it happens, for who looks at a dashboard: one query a second for each organization that somebody looks at.

A viewer holds no queue, only the number of what it saw last, so a slow one skips pictures instead of collecting them.
When the last viewer of an organization goes, so does its task.
"""

import asyncio
import contextlib
import logging
from collections import Counter
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from uuid import UUID

from domain.access import Access
from domain.analytics.live import NEWEST, Call, Live, read_live, read_older, with_older
from domain.databases import AWAY, Pool
from domain.faults import TooManyTries
from domain.log_store.store import POSTGRES, LogStore

log = logging.getLogger("paid_endpoint.portal")

MOST_OF_A_PERSON = 6
MOST_OF_A_PROCESS = 300
_AGAIN_SECONDS = 30
_FAULTS = AWAY
_OLDER_SECONDS = 60
"""How long what the log store has of the newest requests is kept: it is a day old."""


class Viewer:
    """One stream to one browser or program."""

    def __init__(self, feed: "Feed", session_id: UUID) -> None:
        # A picture that is there already does not know of this viewer.
        self._feed, self.session_id, self._seen = feed, session_id, feed.number

    async def next(self) -> Live | None:
        """The next picture; None when the viewer may look no longer."""
        picture = await self._feed.after(self._seen)
        self._seen = self._feed.number
        return picture if self.session_id in picture.roles else None


class Feed:
    """One organization's newest picture, and who waits for the next."""

    def __init__(self, pool: Pool, organization_id: UUID, seconds: float, logs: LogStore) -> None:
        self._pool, self._organization_id, self._seconds, self._logs = pool, organization_id, seconds, logs
        self._older: tuple[Call, ...] = ()
        self._older_until = 0.0
        self.viewers: list[Viewer] = []
        self.number = 0
        self._picture: Live | None = None
        self._changed = asyncio.Condition()
        self._task = asyncio.create_task(self._run(), name="live usage")

    async def after(self, number: int) -> Live:
        """The newest picture, as soon as it is later than that one."""
        async with self._changed:
            await self._changed.wait_for(lambda: self.number > number)
            assert self._picture is not None  # it came with its number
            return self._picture

    async def stop(self) -> None:
        """End the task."""
        self._task.cancel()
        await asyncio.gather(self._task, return_exceptions=True)

    async def _run(self) -> None:
        while True:
            ids = {viewer.session_id for viewer in self.viewers}
            try:
                picture = await read_live(self._pool, self._organization_id, tuple(ids), datetime.now(UTC))
            except _FAULTS as fault:
                log.warning("live usage can't be read: %s", fault or type(fault).__name__)
            else:
                await self._show(await self._whole(picture), ids)
            await asyncio.sleep(self._seconds)

    async def _whole(self, picture: Live) -> Live:
        """The picture with what PostgreSQL has no more of its newest requests."""
        if len(picture.newest) >= NEWEST:
            return picture
        now = asyncio.get_running_loop().time()
        if now >= self._older_until:
            with contextlib.suppress(*_FAULTS):
                self._older = await read_older(self._pool, self._organization_id, picture.at, self._logs)
            self._older_until = now + _OLDER_SECONDS
        return with_older(picture, self._older)

    async def _show(self, picture: Live, asked: set[UUID]) -> None:
        # Who came while the query ran was not asked for, and would be taken for signed out.
        if any(viewer.session_id not in asked for viewer in self.viewers):
            return
        async with self._changed:
            self._picture, self.number = picture, self.number + 1
            self._changed.notify_all()


class LiveUsage:
    """Of one process. `seconds` is the time between two queries of an organization."""

    def __init__(self, pool: Pool, seconds: float = 1.0, logs: LogStore = POSTGRES) -> None:
        self._pool, self._seconds, self._logs = pool, seconds, logs
        self._feeds: dict[UUID, Feed] = {}
        self._people: Counter[int] = Counter()

    @property
    def viewers(self) -> int:
        """How many look."""
        return self._people.total()

    @property
    def feeds(self) -> int:
        """How many organizations are looked at."""
        return len(self._feeds)

    def require_room(self, access: Access) -> None:
        """Raise TooManyTries if this person, or this process, has all the streams that it may have."""
        if self._people[access.user_id] >= MOST_OF_A_PERSON:
            raise TooManyTries(
                f"{MOST_OF_A_PERSON} live views of yours are open. Close one first.", retry_after_seconds=_AGAIN_SECONDS
            )
        if self.viewers >= MOST_OF_A_PROCESS:
            raise TooManyTries("Too many live views are open now. Try again soon.", retry_after_seconds=_AGAIN_SECONDS)

    @contextlib.asynccontextmanager
    async def watching(self, access: Access, session_id: UUID) -> AsyncIterator[Viewer]:
        """A viewer of the access's organization for as long as the block lasts. Raises TooManyTries."""
        self.require_room(access)
        feed = self._feeds.get(access.organization_id)
        if feed is None:
            feed = self._feeds[access.organization_id] = Feed(
                self._pool, access.organization_id, self._seconds, self._logs
            )
        viewer = Viewer(feed, session_id)
        feed.viewers.append(viewer)
        self._people[access.user_id] += 1
        try:
            yield viewer
        finally:
            self._people -= Counter({access.user_id: 1})
            feed.viewers.remove(viewer)
            if not feed.viewers:
                del self._feeds[access.organization_id]
                await feed.stop()
