"""The ear on the database: one connection of its own that hears every change, and knows when it is deaf.

A heartbeat finds a hung connection within two intervals. It reads the change generation too: one that rose and was
not heard of for a while means that notifications do not arrive although the connection lives (a pooler in between,
say). A generation taken by a transaction that was rolled back looks the same, and costs one needless refresh.
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable
from time import monotonic
from typing import Any

import asyncpg

from domain.catalog.changes import CHANNEL, GENERATION_SQL, Change, parse_change
from domain.catalog.lending import READ_FAULTS, deadline
from domain.faults import in_one_line

HEARTBEAT_SECONDS = 1.0
ANSWER_SECONDS = 1.0
UNHEARD_SECONDS = 1.5
_FIRST_PAUSE, _LONGEST_PAUSE = 0.1, 2.0

_log = logging.getLogger(__name__)


class ChangeListener:
    """Calls `on_change` for each change, `on_found` when it begins to hear (again), `on_lost` when it does not.

    `on_missed` is called when changes happened that it did not hear of. `on_found` may raise one of READ_FAULTS:
    then the listener counts as lost and tries again.
    """

    def __init__(
        self,
        dsn: str,
        *,
        on_change: Callable[[Change], None],
        on_found: Callable[[], Awaitable[None]],
        on_lost: Callable[[], None],
        on_missed: Callable[[], None],
    ) -> None:
        self._dsn = dsn
        self._on_change = on_change
        self._on_found = on_found
        self._on_lost = on_lost
        self._on_missed = on_missed
        self._others: dict[str, Callable[[str], None]] = {}
        self._unheard: tuple[int, float] | None = None
        self._connection: asyncpg.Connection[asyncpg.Record] | None = None
        self._pause = _FIRST_PAUSE
        self.ok = False
        self.reason = "not connected yet"
        self.generation = 0
        self.confirmed_at = monotonic()

    def hear(self, channel: str, told: Callable[[str], None]) -> None:
        """Also call `told(payload)` for what comes on another channel. Before `run`; what is missed is not told."""
        self._others[channel] = told

    async def run(self) -> None:
        """Listen until cancelled."""
        while True:
            try:
                await self._listen()
            except Exception as fault:  # noqa: BLE001  whatever it is, being deaf for ever would be worse
                if not isinstance(fault, READ_FAULTS):
                    _log.exception("the change listener failed")
                self._lost(in_one_line(fault))
            await asyncio.sleep(self._pause)
            self._pause = min(self._pause * 2, _LONGEST_PAUSE)

    def hang_up(self) -> None:
        """Drop the connection now, so that a cancelled `run` has nothing to wait for."""
        if self._connection is not None:
            self._connection.terminate()

    async def _listen(self) -> None:
        self._connection = connection = await asyncpg.connect(
            self._dsn, timeout=2 * ANSWER_SECONDS, server_settings={"application_name": "paid-endpoint listener"}
        )
        dropped = asyncio.Event()
        connection.add_termination_listener(lambda _: dropped.set())
        try:
            with deadline(connection, ANSWER_SECONDS):
                await connection.add_listener(CHANNEL, self._notified)
                for channel in self._others:
                    await connection.add_listener(channel, self._told)
                self.generation = int(await connection.fetchval(GENERATION_SQL))
            self._unheard = None
            await self._on_found()
            self._found()
            while not dropped.is_set():
                await _wait(dropped, HEARTBEAT_SECONDS)
                with deadline(connection, ANSWER_SECONDS):
                    self._beat(int(await connection.fetchval(GENERATION_SQL)))
        finally:
            self._connection = None
            connection.terminate()

    def _notified(self, connection: Any, pid: int, channel: str, payload: Any) -> None:
        del connection, pid, channel
        change = parse_change(str(payload))
        self.generation = max(self.generation, change.generation)
        self.confirmed_at = monotonic()
        self._on_change(change)

    def _told(self, connection: Any, pid: int, channel: str, payload: Any) -> None:
        del connection, pid
        self._others[channel](str(payload))

    def _beat(self, generation: int) -> None:
        self.confirmed_at = now = monotonic()
        if generation <= self.generation:
            self.generation = generation
            self._unheard = None
        elif self._unheard is None or self.generation >= self._unheard[0]:
            self._unheard = (generation, now)
        elif now - self._unheard[1] > UNHEARD_SECONDS:
            _log.warning("change generation %d was not heard of: refreshing the catalog", generation)
            self.generation = generation
            self._unheard = None
            self._on_missed()

    def _found(self) -> None:
        self.ok = True
        self.reason = ""
        self._pause = _FIRST_PAUSE
        self.confirmed_at = monotonic()
        _log.info("hearing changes, generation %d", self.generation)

    def _lost(self, reason: str) -> None:
        if self.ok:
            _log.warning("no longer hearing changes: %s", reason)
        self.ok = False
        self.reason = reason
        self._on_lost()


async def _wait(event: asyncio.Event, seconds: float) -> None:
    try:
        async with asyncio.timeout(seconds):
            await event.wait()
    except TimeoutError:
        return
