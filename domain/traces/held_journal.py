"""A journal whose segments stay readable although the ingester deletes them: it does not know of us, and may be ahead."""

import mmap
import os
from pathlib import Path

from domain.journal.reading import JournalFolder
from domain.journal.segments import FRAME_BYTES, HEADER_BYTES, NotASegment, is_blank, read_header, segment_path


class HeldJournal(JournalFolder):
    """Call `hold` often. A segment is made before it is needed, so one that is written to was seen before, and is held
    from then on until `let_go_below`; its disk is free again after that.
    """

    def __init__(self, path: Path) -> None:
        """As the journal's."""
        super().__init__(path)
        self._held: dict[int, int] = {}

    def hold(self, lowest: int) -> None:
        """Hold what is there now, from the segment `lowest` on. Raises UnknownFormat, and OSError without descriptors."""
        for number in super().segments():
            if number < lowest or number in self._held:
                continue
            try:
                descriptor = os.open(segment_path(self.path, number), os.O_RDONLY | os.O_CLOEXEC)
            except FileNotFoundError:
                continue
            try:
                read_header(os.pread(descriptor, HEADER_BYTES, 0))
            except NotASegment:
                # Reading it by its path notes the tear.
                os.close(descriptor)
            except BaseException:
                os.close(descriptor)
                raise
            else:
                self._held[number] = descriptor

    def let_go_below(self, segment: int) -> None:
        """What stands before this segment is read."""
        for number in [number for number in self._held if number < segment]:
            os.close(self._held.pop(number))

    def close(self) -> None:
        """Let go of all."""
        while self._held:
            os.close(self._held.popitem()[1])

    def segments(self) -> list[int]:
        """Those on the disk, and those that are held."""
        return sorted({*super().segments(), *self._held})

    def _map(self, number: int) -> mmap.mmap:
        descriptor = self._held.get(number)
        return super()._map(number) if descriptor is None else mmap.mmap(descriptor, 0, access=mmap.ACCESS_READ)

    def _has_frames(self, number: int | None) -> bool:
        descriptor = None if number is None else self._held.get(number)
        if descriptor is None:
            return super()._has_frames(number)
        return not is_blank(os.pread(descriptor, HEADER_BYTES + FRAME_BYTES, 0), HEADER_BYTES)
