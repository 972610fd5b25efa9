"""The segments of one writer that are made but not yet written to: how much room is there, and making more of it.

Making a segment takes its whole size from the disk at once, so that a full disk is noticed before a record needs the
room. Segments are made in order under one lock, ahead of need in a thread, or at once where the need came first.
"""

import errno
import fcntl
import mmap
import os
import threading
from collections import deque
from pathlib import Path
from uuid import UUID

from domain.journal.reading import LOCK_FILE
from domain.journal.segments import HEADER_BYTES, make_segment, segment_numbers, segment_path
from domain.settings import JournalSettings

_MEBIBYTE = 1024 * 1024
_FEWEST_SEGMENTS = 4
_DELETED = "the folder was deleted, what is answered now is not recorded; reload (SIGHUP) makes a new one"
NO_ROOM = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)


class WritableSegment:
    """One mapped segment. `words` is the same memory as 32-bit words, so that a word is stored in one instruction."""

    __slots__ = ("data", "descriptor", "number", "salt", "words")

    def __init__(self, number: int, descriptor: int, salt: int, size: int) -> None:
        self.number, self.descriptor, self.salt = number, descriptor, salt
        self.data = mmap.mmap(descriptor, size)
        self.words = memoryview(self.data).cast("I")

    def sync(self) -> None:
        """Force what was written to the disk. Blocks; raises OSError."""
        os.fsync(self.descriptor)

    def close(self) -> None:
        """Let go of the file. What was written stays."""
        self.words.release()
        self.data.close()
        os.close(self.descriptor)


class SegmentSupply:
    """Made ahead: `ready`, in order. `fault` says in words why none can be made now, empty if one could.

    `segment_bytes` is JOURNAL_SEGMENT_MB, but never more than a quarter of JOURNAL_MAX_MB.
    """

    def __init__(self, folder: Path, settings: JournalSettings) -> None:
        """`folder` ends with the journal's id; it is made with the first segment."""
        self.folder, self.id = folder, UUID(hex=folder.name)
        most_bytes = settings.max_mb * _MEBIBYTE
        self.segment_bytes = min(settings.segment_mb * _MEBIBYTE, most_bytes // _FEWEST_SEGMENTS)
        self.most_segments = most_bytes // self.segment_bytes
        self.ready: deque[WritableSegment] = deque()
        self.fault = ""
        self._number = 0
        self._lock = threading.Lock()
        self._owned = -1

    @property
    def usable_bytes(self) -> int:
        """What frames may take of one segment."""
        return self.segment_bytes - HEADER_BYTES

    def make(self, enough: int = 0) -> bool:
        """Make one more segment, unless `enough` are ready meanwhile. False, and `fault`, where there is no room.

        Blocks for as long as the disk takes. Raises OSError where it is not about room.
        """
        with self._lock:
            if enough and len(self.ready) >= enough:
                return True
            try:
                if self._owned < 0:
                    self._found()
                if len(segment_numbers(self.folder)) >= self.most_segments:
                    self.fault = "JOURNAL_MAX_MB is reached: records are not ingested"
                    return False
                descriptor, salt = make_segment(self.folder, self._number + 1, self.id, self.segment_bytes)
            except OSError as fault:
                if fault.errno not in NO_ROOM:
                    raise
                self.fault = f"no room on the disk: {fault.strerror}"
                return False
            self._number += 1
            self.ready.append(WritableSegment(self._number, descriptor, salt, self.segment_bytes))
            self.fault = ""
            return True

    def sync_folder(self) -> None:
        """Force the names of new segments to the disk. Blocks; raises OSError, also where somebody deleted the folder."""
        if self._owned < 0:
            return
        try:
            descriptor = os.open(self.folder, os.O_RDONLY | os.O_CLOEXEC)
        except FileNotFoundError as fault:
            # Mapped memory goes on taking records; nobody can ever read them.
            raise FileNotFoundError(errno.ENOENT, _DELETED, str(self.folder)) from fault
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)

    def close(self) -> None:
        """Delete what was made ahead, and let go of the lock: from here on the journal is dead to its readers."""
        with self._lock:
            while self.ready:
                segment = self.ready.pop()
                segment_path(self.folder, segment.number).unlink(missing_ok=True)
                segment.close()
            if self._owned >= 0:
                os.close(self._owned)
                self._owned = -1

    def _found(self) -> None:
        """Make the folder with its lock held; nobody sees it without."""
        draft = self.folder.with_suffix(".new")
        draft.mkdir(mode=0o700, parents=True, exist_ok=True)
        owned = os.open(draft / LOCK_FILE, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(owned, fcntl.LOCK_EX | fcntl.LOCK_NB)
            draft.rename(self.folder)
        except BaseException:
            os.close(owned)
            raise
        self._owned = owned
