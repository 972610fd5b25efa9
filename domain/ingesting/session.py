"""One stretch of ingesting between two faults: a pair of connections, and what the database said when it began.

Nothing here outlives a fault. After one a new session asks the database for the positions and reads the journals again
from there; so a COMMIT whose answer was lost, a restart and a kill are the same case.
"""

import asyncio
import contextlib
import logging
import time
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from pathlib import Path
from uuid import UUID

import asyncpg

from domain.credits.sweeping import sweep
from domain.ingesting.batches import Batch
from domain.ingesting.folding import delete_expired, fold
from domain.ingesting.positions import LOG, ROLLUP, Move, forget, read_positions
from domain.ingesting.rejects import Rejects
from domain.ingesting.rollup_writing import STAGE
from domain.ingesting.storing import BatchRefused, find_bad, store
from domain.ingesting.tail import Tail
from domain.ingesting.tallies import Tallies
from domain.journal.reading import open_journals
from domain.journal.segments import UnknownFormat
from domain.replays import expire

log = logging.getLogger(__name__)

FOLD_SECONDS, LONGEST_FOLD_SECONDS = 1.0, 15.0
"""Between folds: ten times what the last one took, within these."""

_FOLD_SHARE = 10
_MOST_KEYS = 200_000
_CONNECT_SECONDS = 5.0
_CLEAN_SECONDS = 60.0
_EXPIRED_AT_ONCE = 10_000
_UNFOLDED = "select stored_at from usage_unfolded where owner = $1"


class Counts:
    """What one ingester has done since it started."""

    def __init__(self) -> None:
        self.stored = self.rejected = self.cut = self.torn = self.folds = self.faults = 0


class Session:
    """Made by `open_session`. `step` may be called until something raises."""

    def __init__(
        self, connections: tuple[asyncpg.Connection, asyncpg.Connection], folder: Path, owner: UUID, counts: Counts
    ) -> None:
        self._connection, self._fold_connection = connections
        self._folder, self._owner, self._counts = folder, owner, counts
        self._rejects = Rejects(folder)
        self._tails: dict[UUID, Tail] = {}
        self._foreign: set[UUID] = set()
        self._tallies = Tallies()
        self._unfolded: list[datetime] = []
        self._fold: asyncio.Task[None] | None = None
        self._fold_at = time.monotonic()
        self._clean_at = time.monotonic() + _CLEAN_SECONDS

    @property
    def tails(self) -> list[Tail]:
        """Every journal that is followed."""
        return list(self._tails.values())

    def settled(self) -> bool:
        """Whether the rollups hold everything that is stored, and no dead journal is left."""
        return self._fold is None and all(
            tail.folded == tail.stored and not (tail.journal.is_dead() and not tail.over()) for tail in self.tails
        )

    async def begin(self) -> None:
        """Ask the database where everything stands."""
        await self._fold_connection.execute(STAGE)
        self._unfolded = [row["stored_at"] for row in await self._connection.fetch(_UNFOLDED, self._owner)]
        await self._adopt()

    async def step(self, room: int) -> int:
        """Store up to about `room` records, fold if that is due; how many frames were read.

        Raises what asyncpg raises, OSError, or PositionMoved; then this session is over.
        """
        await self._adopt()
        batch, frames = Batch(), 0
        for tail in self.tails:
            if frames < room:
                frames += self._read(tail, batch, room - frames)
        if batch.moves:
            await self._store(batch)
        self._take_fold()
        if self._fold_due():
            self._start_fold()
        if self._fold is not None and len(self._tallies) >= _MOST_KEYS:
            await asyncio.wait((self._fold,))
        await self._release()
        return frames

    async def end(self) -> None:
        """Give up what is under way."""
        if self._fold is not None:
            self._fold.cancel()
            await asyncio.wait((self._fold,))

    def fold_soon(self) -> None:
        """Fold at the next step."""
        self._fold_at = time.monotonic()

    # -- journals

    async def _adopt(self) -> None:
        """Follow the journals that are new in the folder."""
        known = self._tails.keys() | self._foreign
        found = [journal for journal in open_journals(self._folder) if journal.id not in known]
        if not found:
            return
        positions = await read_positions(self._connection, [journal.id for journal in found])
        for journal in found:
            tail = Tail(journal, positions[journal.id, LOG], positions[journal.id, ROLLUP])
            try:
                tail.recall(self._tallies, self._rejects.places)
            except UnknownFormat as fault:
                self._leave(tail, fault)
            else:
                self._tails[journal.id] = tail
            await asyncio.sleep(0)

    def _read(self, tail: Tail, batch: Batch, room: int) -> int:
        torn = tail.torn
        try:
            frames = tail.read(batch, room, self._rejects.places)
        except UnknownFormat as fault:
            self._leave(tail, fault)
            return 0
        self._counts.torn += tail.torn - torn
        return frames

    def _leave(self, tail: Tail, fault: Exception) -> None:
        log.error("journal %s is left alone: %s", tail.id, fault)
        self._foreign.add(tail.id)
        self._tails.pop(tail.id, None)

    async def _release(self) -> None:
        for tail in self.tails:
            if tail.over():
                # Files first: positions without files are a few bytes, files without positions would be stored again.
                await asyncio.to_thread(tail.journal.delete)
                await forget(self._connection, tail.id)
                del self._tails[tail.id]
            else:
                tail.release()

    # -- storing

    async def _store(self, batch: Batch) -> None:
        try:
            stored_at = await store(self._connection, batch, self._owner)
        except BatchRefused:
            bad = await find_bad(self._connection, batch)
            if not bad:
                raise
            for place, record in zip(batch.places, batch.records, strict=True):
                if place in bad:
                    self._rejects.set_aside(place, record, bad[place])
            self._counts.rejected += len(bad)
            batch = batch.without(set(bad))
            stored_at = await store(self._connection, batch, self._owner)
        for move in batch.moves:
            self._tails[move.journal_id].stored = move.reached
        count = self._tallies.count
        for record in batch.records:
            count(record)
        if stored_at is not None:
            self._unfolded.append(stored_at)
        self._counts.stored += len(batch.records)
        self._counts.cut += batch.cut

    # -- folding

    def _fold_due(self) -> bool:
        if self._fold is not None or all(tail.folded == tail.stored for tail in self.tails):
            return False
        return time.monotonic() >= self._fold_at or len(self._tallies) >= _MOST_KEYS

    def _start_fold(self) -> None:
        moves = [Move(tail.id, tail.folded, tail.stored) for tail in self.tails if tail.folded != tail.stored]
        tallies, self._tallies = self._tallies, Tallies()
        batches, self._unfolded = self._unfolded, []
        self._fold = asyncio.create_task(self._run_fold(tallies, moves, batches), name="fold")

    async def _run_fold(self, tallies: Tallies, moves: list[Move], batches: list[datetime]) -> None:
        begun = time.monotonic()
        await fold(self._fold_connection, tallies, moves, self._owner, batches)
        for move in moves:
            self._tails[move.journal_id].folded = move.reached
        self._counts.folds += 1
        if begun >= self._clean_at:
            self._clean_at = begun + _CLEAN_SECONDS
            await delete_expired(self._fold_connection)
            await expire(self._fold_connection, datetime.now(UTC), _EXPIRED_AT_ONCE)
            released = await sweep(self._fold_connection, datetime.now(UTC))
            if released:
                log.warning("%d reservations were past their deadline and are released", released)
        took = time.monotonic() - begun
        self._fold_at = begun + took + min(LONGEST_FOLD_SECONDS, max(FOLD_SECONDS, took * _FOLD_SHARE))

    def _take_fold(self) -> None:
        if self._fold is not None and self._fold.done():
            done, self._fold = self._fold, None
            done.result()


@contextlib.asynccontextmanager
async def open_session(dsn: str, seconds: float, folder: Path, owner: UUID, counts: Counts) -> AsyncIterator[Session]:
    """A session that has begun. A statement is given up after `seconds`. Raises what asyncpg raises, and OSError."""
    async with contextlib.AsyncExitStack() as stack:
        made = []
        for name in ("ingester", "ingester rollups"):
            connection = await asyncpg.connect(
                dsn,
                timeout=_CONNECT_SECONDS,
                command_timeout=seconds,
                server_settings={"application_name": f"paid-endpoint {name}"},
            )
            # Terminated, not closed: whatever was begun on it is rolled back.
            stack.callback(connection.terminate)
            made.append(connection)
        session = Session((made[0], made[1]), folder, owner, counts)
        stack.push_async_callback(session.end)
        await session.begin()
        yield session
