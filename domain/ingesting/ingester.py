"""Stores what the workers of this node have journaled: each record once, however often anything is killed meanwhile.

The disk is the spool: while PostgreSQL is away this tries again, once a second, and loses nothing.
"""

import asyncio
import logging
import time
from dataclasses import dataclass
from pathlib import Path
from uuid import UUID, uuid4

import asyncpg

from domain.faults import in_one_line
from domain.ingesting.positions import PositionMoved
from domain.ingesting.session import Counts, Session, open_session
from domain.ingesting.storing import BatchRefused
from domain.settings import DatabaseSettings

log = logging.getLogger(__name__)

POLL_SECONDS = 0.05
BATCH_ROWS, LEAST_ROWS = 5_000, 100
NODE_FILE = "node"
_STATEMENT_SECONDS = 30.0
_FIRST_DELAY, _LONGEST_DELAY = 0.1, 1.0
_FRESH_SECONDS = 1.0
_FORESEEN = (
    *(OSError, TimeoutError, asyncpg.PostgresError, asyncpg.InterfaceError, asyncpg.InternalClientError),
    *(PositionMoved, BatchRefused),
)


@dataclass(frozen=True, slots=True)
class IngesterStatus:
    """For /ready and /metrics. `lag_seconds` is the age of the oldest ended request that is not stored, 0 without any.

    `rejected` rows are set aside because PostgreSQL can never take them, `torn` are places where a disk lost something;
    both should be 0. `cut` rows are of requests whose worker died.
    """

    stored: int
    rejected: int
    cut: int
    torn: int
    folds: int
    faults: int
    lag_seconds: float
    spool_bytes: int
    fault: str


class Ingester:
    """One per node. The caller holds the node's lock (`gateway.ingester`)."""

    def __init__(self, folder: Path, database: DatabaseSettings) -> None:
        """`folder` is where the journals are."""
        self._folder, self._dsn = folder, database.url.get_secret_value()
        self._owner = node_of(folder)
        self._counts = Counts()
        self._session: Session | None = None
        self._room = BATCH_ROWS
        self._fault = ""
        self._caught_up_at = self._started_at = time.monotonic()
        self._stopping = False
        self._patience: float | None = None
        self._wait_for_writers = False
        self._wake = asyncio.Event()

    async def run(self) -> None:
        """Ingest until `stop` or the end of `drain`."""
        delay = _FIRST_DELAY
        while not self._over():
            try:
                async with open_session(
                    self._dsn, _STATEMENT_SECONDS, self._folder, self._owner, self._counts
                ) as session:
                    self._session = session
                    self._recovered()
                    delay = _FIRST_DELAY
                    await self._work(session)
            except Exception as fault:  # noqa: BLE001  the rows must outlive every fault, those of asyncpg's own state too
                self._failed(fault)
            else:
                return
            finally:
                self._session = None
            if self._patience is not None:
                log.warning("what is not stored yet stays in the journals until the next start")
                return
            await self._sleep(delay)
            delay = min(delay * 2, _LONGEST_DELAY)

    def stop(self) -> None:
        """End after the transaction that is under way."""
        self._stopping = True
        self._wake.set()

    def drain(self, seconds: float, *, wait_for_writers: bool = False) -> None:
        """Store what is there and end, within `seconds`; with `wait_for_writers` not before every journal is closed."""
        self._patience = time.monotonic() + seconds
        self._wait_for_writers = wait_for_writers
        self._wake.set()

    def status(self) -> IngesterStatus:
        """The figures now. Reads the journals if they wait, so ask about once a second."""
        counts = self._counts
        return IngesterStatus(
            stored=counts.stored,
            rejected=counts.rejected,
            cut=counts.cut,
            torn=counts.torn,
            folds=counts.folds,
            faults=counts.faults,
            lag_seconds=self._lag(),
            spool_bytes=bytes_below(self._folder),
            fault=self._fault,
        )

    async def _work(self, session: Session) -> None:
        while not self._over():
            try:
                frames = await session.step(self._room)
            except TimeoutError:
                # Perhaps less is possible in the time that a statement may take.
                self._room = max(LEAST_ROWS, self._room // 2)
                raise
            if frames < self._room:
                self._caught_up_at = time.monotonic()
                if self._patience is not None and self._drained(session, frames):
                    return
                await self._sleep(POLL_SECONDS)
            else:
                # The newest of a full batch is not stored long after it was written, but more may wait.
                self._room = min(BATCH_ROWS, self._room * 2)

    def _drained(self, session: Session, frames: int) -> bool:
        session.fold_soon()
        if frames or not session.settled():
            return False
        return not (self._wait_for_writers and session.tails)

    def _over(self) -> bool:
        return self._stopping or (self._patience is not None and time.monotonic() > self._patience)

    async def _sleep(self, seconds: float) -> None:
        if self._patience is not None:
            await asyncio.sleep(min(seconds, POLL_SECONDS))
            return
        try:
            async with asyncio.timeout(seconds):
                await self._wake.wait()
        except TimeoutError:
            pass

    def _lag(self) -> float:
        if time.monotonic() - self._caught_up_at < _FRESH_SECONDS:
            return 0.0
        session = self._session
        if session is None:
            # Where the journals are stored up to is known to the database alone; this is at most the truth.
            return time.monotonic() - self._caught_up_at
        waiting = [oldest for tail in session.tails if (oldest := tail.oldest_waiting_us()) is not None]
        return max(0.0, time.time() - min(waiting) / 1e6) if waiting else 0.0

    def _failed(self, fault: BaseException) -> None:
        self._counts.faults += 1
        if not self._fault:
            trace = None if isinstance(fault, _FORESEEN) else fault
            log.error(
                "request logs cannot be stored, they wait in the journals: %s", in_one_line(fault), exc_info=trace
            )
        self._fault = in_one_line(fault)

    def _recovered(self) -> None:
        if self._fault:
            log.warning("request logs are stored again")
        self._fault = ""


def node_of(folder: Path) -> UUID:
    """The node's name in the database: made once, kept beside the journals."""
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    file = folder / NODE_FILE
    try:
        return UUID(file.read_text().strip())
    except (FileNotFoundError, ValueError):
        made = uuid4()
        draft = file.with_suffix(".new")
        draft.write_text(f"{made}\n")
        draft.replace(file)
        return made


def bytes_below(folder: Path) -> int:
    """What all journals in a folder take of the disk."""
    total = 0
    for path in folder.glob("*/*.seg"):
        try:
            total += path.stat().st_size
        except FileNotFoundError:
            continue
    return total
