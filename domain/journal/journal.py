"""The writer: one per worker. Appending is a copy into mapped memory: no system call, no lock, nothing that can be lost
when the process is killed.

A request is admitted with `promise()`, which keeps room for its BEGIN and its END, and ends with exactly one
`append(END, ...)`. Room that is promised is there: its blocks are allocated. All methods belong to the event loop; only
making segments and forcing them to the disk happen in threads.
"""

import asyncio
import logging
from dataclasses import dataclass
from pathlib import Path
from zlib import crc32

from domain.faults import in_one_line
from domain.journal.records import BEGIN, END, MOST_BEGIN, MOST_END
from domain.journal.room import SegmentSupply, WritableSegment
from domain.journal.segments import FRAME_BYTES, HEADER_BYTES, SEAL
from domain.settings import JournalSettings

log = logging.getLogger(__name__)

RESERVED = MOST_BEGIN + MOST_END + 2 * FRAME_BYTES
"""Bytes kept for each request in progress."""

_TICK_SECONDS = 0.05
_CARRIED_AT_ONCE = 200
_CARRY_AFTER = 4
_END_WORD = END << 24
_WASTE = MOST_END + 3 * FRAME_BYTES
"""What the end of a segment may leave unused, its SEAL included."""


@dataclass(frozen=True, slots=True)
class JournalStatus:
    """For /ready and /metrics. `fault` is empty, or says why there is no room or why the disk does not take it.

    `open` requests are promised and not ended; `begun` of them have a BEGIN. `ready` segments are made ahead.
    """

    full: bool
    fault: str
    records: int
    open: int
    begun: int
    segment: int
    position: int
    ready: int
    refused: int


class Journal:
    """`full` is True while no room can be promised to another request; it is looked at again every 50 ms."""

    def __init__(self, folder: Path, settings: JournalSettings) -> None:
        """`folder` ends with the journal's id: 32 hex digits, new for every process."""
        self._supply = SegmentSupply(folder, settings)
        self._sync_seconds = settings.fsync_ms / 1000
        self.full = False
        self._open = self._records = self._refused = 0
        self._begun: dict[bytes, tuple[int, bytes]] = {}
        self._begun_bytes = 0
        self._segment: WritableSegment | None = None
        self._unsynced: list[WritableSegment] = []
        self._position = self._limit = self._salt = 0
        self._sync_fault = ""
        self._stopped = False
        self._tasks: tuple[asyncio.Task[None], ...] = ()

    async def start(self) -> None:
        """Make the folder and the first segments. A full disk is no error: then `full`. Raises OSError otherwise."""
        await asyncio.to_thread(self._supply.make)
        self._look_for_room()
        self._tasks = (asyncio.create_task(self._keep(), name="journal room"),)
        if self._sync_seconds:
            self._tasks += (asyncio.create_task(self._sync_often(), name="journal fsync"),)

    async def stop(self) -> None:
        """Force everything to the disk, close, and leave the folder to the ingester. Nothing may be appended after."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        if self._segment is not None:
            self._seal(self._segment)
            await asyncio.to_thread(self._sync)
            self._close(self._unsynced)
            self._segment = None
        self._stopped = True
        await asyncio.to_thread(self._supply.close)

    def promise(self) -> bool:
        """Keep room for one more request; False (then nothing is kept) if there is none. Exactly one END must follow."""
        needed = (self._open + 1) * RESERVED
        if needed > self._limit - self._position and needed > self._room() and not self._widen(needed):
            self._refused += 1
            return False
        self._open += 1
        return True

    def append(self, kind: int, payload: bytes) -> None:
        """Write a record down. `payload` comes from `pack_end`, or from `shortened` if it is a BEGIN; of a promised request."""
        position = self._position
        end = position + 8 + len(payload)
        if end > self._limit:
            if self._stopped:
                log.error("a record came after the journal was closed and is lost")
                return
            self._next_segment()
            position = self._position
            end = position + 8 + len(payload)
        words, index = self._words, position >> 2
        word = kind << 24 | len(payload)
        words[index + 1] = crc32(payload, word ^ self._salt)
        self._data[position + 8 : end] = payload
        words[index] = word  # last: from this instruction on the record is there
        self._position = (end + 7) & -8
        if kind == END:
            self._open -= 1
            self._records += 1
            if self._begun:
                self._forget(payload)
        else:
            self._remember(payload)

    def append_ends(self, payloads: "list[bytes]") -> None:
        """`append(END, ...)` for each, in order."""
        words, data, salt = self._words, self._data, self._salt
        position, limit = self._position, self._limit
        for done, payload in enumerate(payloads):
            size = len(payload)
            end = position + 8 + size
            if end > limit or self._begun:
                self._position = position
                for rest in payloads[done:]:
                    self.append(END, rest)
                return
            index, word = position >> 2, _END_WORD | size
            words[index + 1] = crc32(payload, word ^ salt)
            data[position + 8 : end] = payload
            words[index] = word  # last, as in `append`
            position = (end + 7) & -8
            self._open -= 1
            self._records += 1
        self._position = position

    def status(self) -> JournalStatus:
        """The figures now."""
        return JournalStatus(
            full=self.full,
            fault=self._supply.fault or self._sync_fault,
            records=self._records,
            open=self._open,
            begun=len(self._begun),
            segment=self._segment.number if self._segment else 0,
            position=self._position,
            ready=len(self._supply.ready),
            refused=self._refused,
        )

    # -- room

    def _room(self) -> int:
        """Bytes for frames that are surely there."""
        return max(0, self._limit - self._position) + len(self._supply.ready) * (self._supply.usable_bytes - _WASTE)

    def _widen(self, needed: int) -> bool:
        """Make room at once: rare, because the keeper is ahead of need. Says `full` where there is none."""
        while not self.full and not self._stopped and self._room() < needed:
            if not self._make():
                self._report_full()
        return self._room() >= needed

    def _make(self, enough: int = 0) -> bool:
        try:
            return self._supply.make(enough)
        except OSError as fault:
            self._supply.fault = in_one_line(fault)
            return False

    def _report_full(self) -> None:
        self.full = True
        log.error("JOURNAL FULL, requests are refused with 503: %s (%s)", self._supply.fault, self._supply.folder)

    def _look_for_room(self) -> None:
        if self._segment is None and self._supply.ready:
            self._take_next()
        room = (self._open + 2) * RESERVED <= self._room()
        if self.full and room:
            self.full = False
            log.warning("the journal has room again, requests are admitted")
        elif not self.full and not room and self._supply.fault:
            self._report_full()

    async def _keep(self) -> None:
        """Keep half a segment more than what is promised, and old segments free of open BEGINs."""
        while True:
            await asyncio.sleep(_TICK_SECONDS)
            try:
                await self._keep_up()
            except Exception:  # without this task there would soon be no room
                log.exception("fault in the keeping of the journal")

    async def _keep_up(self) -> None:
        if self._room() - self._open * RESERVED < self._supply.segment_bytes // 2:
            await asyncio.to_thread(self._make, len(self._supply.ready) + 1)
        self._look_for_room()
        self._carry()
        if not self._sync_seconds:
            self._close(self._unsynced[:-1])

    def _next_segment(self) -> None:
        """The present segment is used up; the next is there, because its room was promised."""
        assert self._segment is not None or self._supply.ready, "appended without a promise"
        if self._segment is not None:
            if not self._supply.ready and not self._make():
                raise RuntimeError("appended without a promise")
            self._seal(self._segment)
        self._take_next()

    def _take_next(self) -> None:
        segment = self._segment = self._supply.ready.popleft()
        self._unsynced.append(segment)
        self._words, self._data, self._salt = segment.words, segment.data, segment.salt
        self._position = HEADER_BYTES
        self._limit = self._supply.segment_bytes - FRAME_BYTES

    def _seal(self, segment: WritableSegment) -> None:
        word, index = SEAL << 24, self._position >> 2
        segment.words[index + 1] = crc32(b"", word ^ segment.salt)
        segment.words[index] = word
        self._position = self._limit = 0

    # -- begun answers

    def _remember(self, payload: bytes) -> None:
        assert self._segment is not None
        self._forget(payload)
        self._begun[payload[:16]] = (self._segment.number, payload)
        self._begun_bytes += len(payload)

    def _forget(self, payload: bytes) -> None:
        found = self._begun.pop(payload[:16], None)
        if found is not None:
            self._begun_bytes -= len(found[1])

    def _carry(self) -> None:
        """Write BEGINs of answers that go on for long once more, so that the segments of the first ones can be deleted.

        How far they may stay behind grows with how many there are: repeating them is at most a fifth of what is written.
        """
        behind = _CARRY_AFTER * (1 + self._begun_bytes // self._supply.segment_bytes)
        behind = min(behind, self._supply.most_segments // 2)
        for _ in range(_CARRIED_AT_ONCE):
            number, payload = next(iter(self._begun.values()), (0, b""))
            assert self._segment is not None or not payload
            if not payload or self._segment is None or number > self._segment.number - behind:
                return
            if self._room() - self._open * RESERVED < RESERVED:
                return
            self.append(BEGIN, payload)

    # -- the disk

    async def _sync_often(self) -> None:
        synced = (0, 0)
        while True:
            await asyncio.sleep(self._sync_seconds)
            now = (self._segment.number if self._segment else 0, self._position)
            if now != synced:
                sealed = self._unsynced[:-1]
                await asyncio.to_thread(self._sync)
                self._close(sealed)
                synced = now

    def _sync(self) -> None:
        try:
            for segment in tuple(self._unsynced):
                segment.sync()
            self._supply.sync_folder()
        except OSError as fault:
            if not self._sync_fault:
                log.error("the journal could not be forced to the disk: %s", in_one_line(fault))  # noqa: TRY400
            self._sync_fault = in_one_line(fault)
        else:
            self._sync_fault = ""

    def _close(self, sealed: list[WritableSegment]) -> None:
        for segment in sealed:
            segment.close()
        del self._unsynced[: len(sealed)]
