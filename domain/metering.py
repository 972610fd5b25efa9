"""The recorder: takes a row from every exchange without waiting, and stores rows in batches behind the requests' backs.

This is the first form: rows wait in this worker's memory. While PostgreSQL is away up to LOG_QUEUE_ROWS are kept, then
the oldest are lost, counted and reported loudly; a worker that is killed loses what it held. The journal, a file per
worker that an ingester reads, replaces the memory behind the same `record`.
"""

import asyncio
import contextlib
import logging
from collections import deque
from dataclasses import dataclass
from datetime import UTC, datetime

import asyncpg

from domain.faults import in_one_line
from domain.log_writing import BatchRefused, CommitUncertain, is_stored, store
from domain.request_log import LogRow
from domain.settings import DatabaseSettings, LogSettings

log = logging.getLogger(__name__)

BATCH_ROWS = 5_000
"""Rows of one transaction at the most."""

_CONNECT_SECONDS = 5.0
_FIRST_DELAY, _LONGEST_DELAY = 0.1, 1.0


@dataclass(frozen=True, slots=True)
class RecorderStatus:
    """For /ready and /metrics. `lag_seconds` is the age of the oldest row that is not stored yet, 0 without any.

    `dropped` rows found no room or no time; `rejected` rows held what PostgreSQL does not take. Both should be 0.
    """

    queued: int
    written: int
    dropped: int
    rejected: int
    lag_seconds: float
    fault: str


class Recorder:
    """One per worker, with its own connection, so that it never waits for the worker's pool."""

    def __init__(self, database: DatabaseSettings, settings: LogSettings) -> None:
        self._dsn = database.url.get_secret_value()
        self._command_seconds = database.command_timeout_ms / 1000
        self._flush_seconds = settings.flush_ms / 1000
        self._room = settings.queue_rows
        self._rows: deque[LogRow] = deque()
        self._batch: list[LogRow] = []
        self._wake = asyncio.Event()
        self._stopping = False
        self._connection: asyncpg.Connection | None = None
        self._written = self._dropped = self._reported = self._rejected = 0
        self._fault = ""

    async def start(self) -> None:
        """Begin storing. PostgreSQL may be away."""
        self._loop = asyncio.get_running_loop()
        self._taken_at = self._loop.time() - self._flush_seconds
        self._task = self._loop.create_task(self._run(), name="request log recorder")

    async def stop(self, drain: float = 5.0) -> None:
        """Store what is there within `drain` seconds; what is left then is lost, counted and reported."""
        self._stopping = True
        self._wake.set()
        _, late = await asyncio.wait((self._task,), timeout=drain)
        if late:
            self._task.cancel()
            await asyncio.wait((self._task,))
            self._dropped += len(self._batch) + len(self._rows)
        self._report_drops()
        self._disconnect()

    def record(self, row: LogRow) -> None:
        """Take a row: synchronous, O(1), never blocks."""
        rows = self._rows
        rows.append(row)
        waiting = len(rows)
        if waiting == 1 or waiting == BATCH_ROWS:  # noqa: PLR1714  a set is slower on the hot path
            self._wake.set()
        if waiting + len(self._batch) > self._room:
            rows.popleft()
            self._dropped += 1

    def status(self) -> RecorderStatus:
        """The figures now."""
        oldest = self._batch[0] if self._batch else self._rows[0] if self._rows else None
        return RecorderStatus(
            queued=len(self._batch) + len(self._rows),
            written=self._written,
            dropped=self._dropped,
            rejected=self._rejected,
            lag_seconds=max(0.0, (datetime.now(UTC) - oldest.at).total_seconds()) if oldest else 0.0,
            fault=self._fault,
        )

    async def _run(self) -> None:
        while True:
            await self._wait_for_rows()
            if not self._rows:
                return
            self._taken_at = self._loop.time()
            self._batch = [self._rows.popleft() for _ in range(min(len(self._rows), BATCH_ROWS))]
            await self._write(self._batch)
            self._batch = []
            self._report_drops()

    async def _wait_for_rows(self) -> None:
        """Return when a batch is due: rows are there, and it is full or the last one is one flush interval ago."""
        while not self._rows and not self._stopping:
            self._wake.clear()
            await self._wake.wait()
        pause = self._taken_at + self._flush_seconds - self._loop.time()
        if pause > 0 and len(self._rows) < BATCH_ROWS and not self._stopping:
            self._wake.clear()
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(pause):
                    await self._wake.wait()

    async def _write(self, rows: list[LogRow]) -> None:
        """Store these rows exactly once, however long that takes; only rows that can never be stored are left out."""
        uncertain, looked_again, delay = False, False, _FIRST_DELAY
        while True:
            try:
                connection = await self._connected()
                if not (uncertain and await is_stored(connection, rows)):
                    await store(connection, rows)
                return self._succeeded(rows)
            except BatchRefused as refusal:
                # The transaction whose COMMIT got no answer may have ended only now, and then the rows are there.
                if uncertain and not looked_again:
                    looked_again = True
                    continue
                return await self._leave_out(rows, refusal)
            except Exception as fault:  # noqa: BLE001  the rows must outlive every fault
                uncertain = uncertain or isinstance(fault, CommitUncertain)
                self._failed(fault)
            await asyncio.sleep(delay)
            delay = min(delay * 2, _LONGEST_DELAY)

    async def _leave_out(self, rows: list[LogRow], refusal: BatchRefused) -> None:
        """Halve a refused batch until the row that spoils it is alone."""
        if len(rows) > 1:
            middle = len(rows) // 2
            await self._write(rows[:middle])
            await self._write(rows[middle:])
            return
        self._rejected += 1
        log.error("request log row %s cannot be stored: %s", rows[0].id, type(refusal.__cause__).__name__)

    async def _connected(self) -> asyncpg.Connection:
        if self._connection is None or self._connection.is_closed():
            self._connection = await asyncpg.connect(
                self._dsn,
                timeout=_CONNECT_SECONDS,
                command_timeout=self._command_seconds,
                server_settings={"application_name": "paid-endpoint recorder"},
            )
        return self._connection

    def _disconnect(self) -> None:
        if self._connection is not None:
            self._connection.terminate()
            self._connection = None

    def _succeeded(self, rows: list[LogRow]) -> None:
        self._written += len(rows)
        if self._fault:
            self._fault = ""
            log.warning("request log rows are stored again; %d are waiting", len(self._rows))

    def _failed(self, fault: Exception) -> None:
        # After any fault the state of the connection is unknown; closing it rolls back whatever was begun.
        self._disconnect()
        if not self._fault:
            log.error("request log rows cannot be stored, they are kept in memory: %s", in_one_line(fault))
        self._fault = type(fault).__name__
        self._report_drops()

    def _report_drops(self) -> None:
        if self._dropped > self._reported:
            log.error("REQUEST LOG ROWS LOST: %d now, %d in all", self._dropped - self._reported, self._dropped)
            self._reported = self._dropped
