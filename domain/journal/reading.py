"""Reading journals, live ones and those of dead workers. Never writes; deletes what its caller has finished with.

    for journal in open_journals(folder):
        dead = journal.is_dead()                       # before reading: what is read after that is all there will be
        for segment, position, kind, payload in journal.read_from(segment, position):
            ...                                        # store (segment, position) with what was read: it resumes there
        if dead and nothing came: journal.delete()

A position is the byte behind a frame; (0, 0) is the beginning. Reading a live journal ends where the writer is now, and
can be taken up again from the last position. What is not whole is never yielded: a frame in the middle of being written
is simply not there yet; damage (a power cut, a bad disk) is left out up to the next segment and noted in `tears`.
"""

import fcntl
import logging
import mmap
import os
import shutil
import time
from collections.abc import Generator, Iterator
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple
from uuid import UUID

from domain.journal.records import MOST_END
from domain.journal.segments import (
    FRAME_BYTES,
    HEADER_BYTES,
    SEAL,
    NotASegment,
    UnknownFormat,
    frame_at,
    is_blank,
    read_header,
    segment_numbers,
    segment_path,
)

LOCK_FILE = "lock"
_DRAFT_SECONDS = 60.0
_JOURNAL_NAME_LENGTH = 32
_CHUNK = 65_536

Frame = tuple[int, int, int, bytes]
"""Segment, position behind it, kind, payload."""

log = logging.getLogger(__name__)


class Tear(NamedTuple):
    """A place behind which a segment can't be read. `lost` is whether bytes stand there that once were more than one
    unfinished frame: False is what SIGKILL leaves, and then nothing that was promised is missing.
    """

    segment: int
    position: int
    lost: bool


def open_journals(folder: Path) -> list["JournalFolder"]:
    """Every journal below `folder`, in no particular order; empty if there is no such folder."""
    found = []
    with suppress(FileNotFoundError):
        for entry in os.scandir(folder):
            if len(entry.name) == _JOURNAL_NAME_LENGTH and entry.is_dir():
                with suppress(ValueError):
                    found.append(JournalFolder(Path(entry.path)))
            elif entry.name.endswith(".new"):
                _sweep_draft(Path(entry.path))
    return found


class JournalFolder:
    """One worker's journal. Cheap to make; holds nothing open between calls.

    `tears` grows while reading and has each place once. Raises UnknownFormat from `read_from` for a segment of another
    version: leave that journal to the program that wrote it.
    """

    def __init__(self, path: Path) -> None:
        """`path` ends with the journal's id, 32 hex digits. Raises ValueError if it does not."""
        self.path = path
        self.id = UUID(hex=path.name)
        self.tears: list[Tear] = []
        self._dead = False

    def is_dead(self) -> bool:
        """Whether the worker is gone: its lock is free. Once True, always True, and nothing is written any more."""
        if not self._dead:
            self._dead = is_free(self.path / LOCK_FILE)
        return self._dead

    def segments(self) -> list[int]:
        """The numbers of the segments that are there, in order; also those made ahead, which are still empty."""
        return segment_numbers(self.path)

    def read_from(self, segment: int, position: int) -> Iterator[Frame]:
        """Segment, position behind it, kind and payload of every whole frame from there to the end of what is written.

        A segment that was deleted is passed over. Raises UnknownFormat and OSError.
        """
        dead = self.is_dead()
        numbers = [number for number in self.segments() if number >= segment]
        for place, number in enumerate(numbers):
            start = position if number == segment else 0
            following = numbers[place + 1] if place + 1 < len(numbers) else None
            sealed = yield from self._read_segment(number, start, following, dead=dead)
            if not sealed:
                return

    def delete_segments_below(self, segment: int) -> int:
        """Delete the segments before this one, in order; how many. Give the lowest that is needed: that of the position
        stored, or that of the oldest BEGIN without END.
        """
        return self._delete([number for number in self.segments() if number < segment])

    def delete(self) -> None:
        """Delete a dead journal as a whole, segments in order, so that dying on the way leaves a readable rest."""
        self._delete(self.segments())
        shutil.rmtree(self.path, ignore_errors=True)

    def _delete(self, numbers: list[int]) -> int:
        for number in numbers:
            segment_path(self.path, number).unlink(missing_ok=True)
        return len(numbers)

    def _read_segment(
        self, number: int, start: int, following: int | None, *, dead: bool
    ) -> Generator[Frame, None, bool]:
        """Yields frames; returns whether reading goes on in the next segment."""
        try:
            data = self._map(number)
        except FileNotFoundError:
            return True
        except NotASegment:
            self._tear(number, 0, lost=True)
            return True
        with data:
            position = max(start, HEADER_BYTES)
            salt = read_header(data[:HEADER_BYTES]).salt
            while True:
                frame = frame_at(data, position, salt) if position + FRAME_BYTES <= len(data) else None
                if frame is None and (dead or self._has_frames(following)):
                    # Only now the writer can't be in the middle of it, but it may have been a moment ago.
                    frame = frame_at(data, position, salt) if position + FRAME_BYTES <= len(data) else None
                    if frame is None:
                        self._look_behind(data, number, position, following)
                        return True
                if frame is None:
                    return False
                kind, payload, position = frame
                if kind == SEAL:
                    return True
                yield number, position, kind, payload

    def _map(self, number: int) -> mmap.mmap:
        with segment_path(self.path, number).open("rb") as file:
            header = file.read(HEADER_BYTES)
            try:
                read_header(header)
            except UnknownFormat as fault:
                raise UnknownFormat(f"{file.name}: {fault}") from None
            return mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)

    def _has_frames(self, number: int | None) -> bool:
        if number is None:
            return False
        with suppress(OSError), segment_path(self.path, number).open("rb") as file:
            return not is_blank(
                file.read(HEADER_BYTES + FRAME_BYTES).ljust(HEADER_BYTES + FRAME_BYTES, b"\0"), HEADER_BYTES
            )
        return False

    def _look_behind(self, data: mmap.mmap, number: int, position: int, following: int | None) -> None:
        """Note what ended the segment, unless it is simply its end."""
        unfinished = position + FRAME_BYTES + MOST_END
        lost = _holds(data, unfinished, len(data)) or self._has_frames(following) or not is_blank(data, position)
        if lost or _holds(data, position, unfinished):
            self._tear(number, position, lost=lost)

    def _tear(self, segment: int, position: int, *, lost: bool) -> None:
        tear = Tear(segment, position, lost)
        if tear not in self.tears:
            self.tears.append(tear)


def _holds(data: mmap.mmap, start: int, end: int) -> bool:
    """Whether anything but zeros stands there."""
    return any(data[chunk : min(chunk + _CHUNK, end)].strip(b"\0") for chunk in range(start, end, _CHUNK))


def is_free(lock: Path) -> bool:
    """Whether nobody holds this lock file; a missing one is free."""
    try:
        descriptor = os.open(lock, os.O_RDONLY | os.O_CLOEXEC)
    except FileNotFoundError:
        return True
    try:
        # Shared, so that two who ask at once do not take each other for the owner.
        fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    finally:
        os.close(descriptor)
    return True


def _sweep_draft(folder: Path) -> None:
    """A worker that died while it made its folder; nothing was ever written in there."""
    with suppress(OSError):
        if time.time() - folder.stat().st_mtime > _DRAFT_SECONDS and is_free(folder / LOCK_FILE):
            shutil.rmtree(folder, ignore_errors=True)
