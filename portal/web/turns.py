"""Turns at the database: one person never holds all connections of a process, however much they ask for at once.

Whoever asks for more waits in a line of their own, holding nothing, and everybody else passes by. A person is known by
what they show, a session or an access token; from its second request on, all that one person shows is one line.
"""

import asyncio
from collections import OrderedDict
from collections.abc import AsyncIterator, Hashable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

from domain.random_tokens import digest_of

MOST_KNOWN = 10_000
"""Sessions and tokens whose person is remembered: those that were used last."""


@dataclass(slots=True)
class _Line:
    turns: asyncio.Semaphore
    people: int = field(default=0)


class Turns:
    """Of one process, over a pool of `connections`. Who shows nothing stands in no line: what anybody sees is cheap."""

    def __init__(self, connections: int) -> None:
        self._most = max(1, connections * 3 // 8)
        self._lines: dict[Hashable, _Line] = {}
        self._known: OrderedDict[bytes, int] = OrderedDict()

    @asynccontextmanager
    async def turn(self, shown: str) -> AsyncIterator[None]:
        """One of the person's turns, for as long as the block lasts. `shown` is what they sent to say who they are."""
        if not shown:
            yield
            return
        digest = digest_of(shown)
        who: Hashable = self._known.get(digest, digest)
        line = self._lines.setdefault(who, _Line(asyncio.Semaphore(self._most)))
        line.people += 1
        try:
            async with line.turns:
                yield
        finally:
            line.people -= 1
            if not line.people:
                self._lines.pop(who, None)

    def remember(self, shown: str, user_id: int) -> None:
        """Whom the session or token belongs to."""
        digest = digest_of(shown)
        self._known[digest] = user_id
        self._known.move_to_end(digest)
        if len(self._known) > MOST_KNOWN:
            self._known.popitem(last=False)
