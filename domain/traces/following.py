"""Every journal of the node, followed for the records of sampled requests. Beside the ingester, and apart from it.

Where reading stands is kept in a file beside the journals, so that the next process goes on there: not further than what
the collector has settled, so that a process that is killed has its last spans sent once more, under the same ids.
"""

import json
import logging
from collections.abc import Callable, Iterable
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple
from uuid import UUID

from domain.ingesting.positions import BEGINNING, CLOSED, Position
from domain.ingesting.tail import cut_row
from domain.journal.reading import open_journals
from domain.journal.records import BEGIN, END
from domain.journal.segments import UnknownFormat
from domain.journal.trace_marks import is_marked
from domain.traces.held_journal import HeldJournal

log = logging.getLogger(__name__)

POSITIONS_FILE = "traces.json"
FRAMES_AT_ONCE = 5_000
_ID = slice(0, 16)


class Found(NamedTuple):
    """A record of a sampled request. `before` is where reading has to begin to find it again."""

    journal_id: UUID
    before: Position
    record: bytes


class _Followed:
    """One journal. `reached` is how far it was read, CLOSED once nothing more can come; up to `start` all is settled."""

    def __init__(self, journal: HeldJournal) -> None:
        self.journal = journal
        self.reached = self.start = BEGINNING
        self._open: dict[bytes, bytes] = {}

    def read(self, take: Callable[[Found], object], room: int) -> int:
        """Read on; how many frames. What stands before `start` was exported, and is looked at for what is open only."""
        if self.reached == CLOSED:
            return 0
        journal, frames = self.journal, 0
        dead = journal.is_dead()
        journal.hold(self.reached.segment)
        for segment, offset, kind, payload in journal.read_from(*self.reached):
            before, self.reached = self.reached, Position(segment, offset)
            frames += 1
            if is_marked(payload):
                if kind == BEGIN:
                    self._open[payload[_ID]] = payload
                elif kind == END:
                    self._open.pop(payload[_ID], None)
                    if self.reached > self.start:
                        take(Found(journal.id, before, payload))
            if frames >= room:
                break
        else:
            if dead:
                self._close(take)
        journal.let_go_below(self.reached.segment)
        return frames

    def missed(self) -> int:
        """How many segments were deleted that were not read, as far as one can know."""
        first = min(self.journal.segments(), default=0)
        return max(0, first - max(1, self.start.segment + 1))

    def _close(self, take: Callable[[Found], object]) -> None:
        before, self.reached = self.reached, CLOSED
        if self.start != CLOSED:
            for payload in sorted(self._open.values()):
                take(Found(self.journal.id, before, cut_row(payload)))
        self._open.clear()
        self.journal.close()


class Follower:
    """All journals below a folder. Call `begin` before anything is read."""

    def __init__(self, folder: Path) -> None:
        self._folder, self._file = folder, folder / POSITIONS_FILE
        self._followed: dict[UUID, _Followed] = {}
        self._left: set[UUID] = set()
        self._saved = ""
        self._starts: dict[UUID, Position] = {}
        self.missed = 0
        """Segments whose spans nobody will see."""

    def stand_by(self) -> None:
        """Hold what is there, while another one reads it: what is deleted before `begin` is not missed."""
        self.adopt()
        for id_, followed in list(self._followed.items()):
            try:
                followed.journal.hold(0)
            except UnknownFormat as fault:
                self._leave(id_, fault)

    def begin(self) -> None:
        """Go on where the one before this has settled everything."""
        self._starts = self._load()
        for id_, followed in self._followed.items():
            self._start(id_, followed)

    def adopt(self) -> None:
        """Follow what is new in the folder, and forget what is gone and read to its end."""
        listed = set()
        for journal in open_journals(self._folder):
            listed.add(journal.id)
            if journal.id in self._followed or journal.id in self._left:
                continue
            followed = self._followed[journal.id] = _Followed(HeldJournal(journal.path))
            self._start(journal.id, followed)
        self._left &= listed
        for id_, followed in list(self._followed.items()):
            if id_ not in listed and followed.reached == CLOSED:
                del self._followed[id_]

    def read(self, take: Callable[[Found], object]) -> int:
        """Give what is new to `take`; how many frames were read, FRAMES_AT_ONCE at the most of each journal."""
        frames = 0
        for id_, followed in list(self._followed.items()):
            try:
                frames += followed.read(take, FRAMES_AT_ONCE)
            except UnknownFormat as fault:
                self._leave(id_, fault)
        return frames

    def is_over(self) -> bool:
        """Whether every journal is of a dead worker, and read to its end."""
        return all(followed.reached == CLOSED for followed in self._followed.values())

    def save(self, unsettled: Iterable[Found]) -> None:
        """Write down where the next process has to begin. `unsettled`: what was given and is not settled, oldest first."""
        positions = {id_: max(followed.start, followed.reached) for id_, followed in self._followed.items()}
        for found in unsettled:
            positions[found.journal_id] = min(positions.get(found.journal_id, CLOSED), found.before)
        text = json.dumps({id_.hex: list(position) for id_, position in positions.items()})
        if text == self._saved:
            return
        draft = self._file.with_suffix(".new")
        # A disk that is full costs spans that are sent twice, and nothing else.
        with suppress(OSError):
            draft.write_text(text)
            draft.replace(self._file)
            self._saved = text

    def close(self) -> None:
        """Let go of all files."""
        for followed in self._followed.values():
            followed.journal.close()

    def _start(self, id_: UUID, followed: _Followed) -> None:
        start = self._starts.get(id_)
        if start is None:
            return
        followed.start = start
        if missed := followed.missed():
            self.missed += missed
            log.warning("journal %s: the spans of up to %d segments are lost", id_, missed)

    def _leave(self, id_: UUID, fault: Exception) -> None:
        log.error("journal %s is left alone: %s", id_, fault)
        self._left.add(id_)
        self._followed.pop(id_).journal.close()

    def _load(self) -> dict[UUID, Position]:
        try:
            said = json.loads(self._file.read_text())
            return {UUID(hex=id_): Position(*map(int, position)) for id_, position in said.items()}
        except (OSError, ValueError, TypeError, AttributeError):
            return {}
