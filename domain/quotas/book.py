"""The lease book: a worker's balances in a mapped file, so that SIGKILL loses no permit.

The file is locked (flock) while its worker lives. Whoever finds a book whose lock is free returns what is unspent in it
(dead_books.py). A take writes one word; the kernel keeps it when the process dies. A power cut may lose it: then the
permits count as spent, but for words that reached the disk earlier, which is why a book of a former boot is not used.

An entry has 256 bytes: left, kept, tag, length of the text (0: free), then the text: the window's name, a space, and
what lease.lua wants to know of it. Entry 0 is the header: boot, entries in use so far.
"""

import fcntl
import logging
import mmap
import os
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

log = logging.getLogger(__name__)

SUFFIX = ".book"
_BYTES, _CELLS = 256, 32
_TEXT_AT, _LENGTH = 32, 3
_MOST_TEXT = _BYTES - _TEXT_AT
_ENTRIES = 65_536
_BOOT, _TOP = 0, 1


class Entry(NamedTuple):
    """One window in a dead worker's book."""

    name: str
    words: str
    left: int
    kept: int
    tag: int


class Book:
    """The book of a living worker, for `holder`. Raises OSError if it can't be made."""

    def __init__(self, folder: Path, holder: str) -> None:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        self._path = folder / f"{holder}{SUFFIX}"
        draft = folder / f"{holder}.new"
        self._file = os.open(draft, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o600)
        try:
            # Under its final name only once it is locked: nobody may take it for a dead worker's.
            fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            # A full disk must be known now and not as SIGBUS at a write.
            os.posix_fallocate(self._file, 0, _ENTRIES * _BYTES)
            self._map = mmap.mmap(self._file, _ENTRIES * _BYTES)
            self._bytes = memoryview(self._map)
            self.cells = self._bytes.cast("q")
            self.cells[_BOOT], self.cells[_TOP] = boot_number(), 1
            draft.rename(self._path)
        except OSError:
            os.close(self._file)
            draft.unlink(missing_ok=True)
            raise
        self._free: list[int] = []

    def enter(self, name: str, words: str) -> int | None:
        """First cell of a new entry with nothing in it; None if the book is full."""
        text = f"{name} {words}".encode()
        if len(text) > _MOST_TEXT:
            return None
        if self._free:
            entry = self._free.pop()
        else:
            entry = self.cells[_TOP]
            if entry >= _ENTRIES:
                return None
            self.cells[_TOP] = entry + 1
        cell, byte = entry * _CELLS, entry * _BYTES + _TEXT_AT
        for offset in range(_LENGTH + 1):
            self.cells[cell + offset] = 0
        self._bytes[byte : byte + len(text)] = text
        self.cells[cell + _LENGTH] = len(text)
        return cell

    def leave(self, cell: int) -> None:
        """Free an entry of which Redis has been told everything."""
        self.cells[cell + _LENGTH] = 0
        self._free.append(cell // _CELLS)

    def close(self, *, keep: bool) -> None:
        """Unlock it; `keep` it for others if something in it has still to be returned."""
        self.cells.release()
        self._bytes.release()
        self._map.close()
        if not keep:
            self._path.unlink(missing_ok=True)
        os.close(self._file)


def boot_number() -> int:
    """Which boot of this machine it is, as 62 bits; 0 where the system does not say."""
    try:
        text = Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii")
    except OSError:
        return 0
    return int(text.replace("-", ""), 16) >> 66


def read_entries(content: bytes) -> Iterator[Entry]:
    """The entries of a book; none if it is of a former boot or broken."""
    cells = memoryview(content[: len(content) // 8 * 8]).cast("q")
    if len(cells) < _CELLS or cells[_BOOT] != boot_number():
        return
    for entry in range(1, min(cells[_TOP], len(cells) // _CELLS)):
        left, kept, tag, length = cells[entry * _CELLS : entry * _CELLS + 4]
        if not 0 < length <= _MOST_TEXT:
            continue
        begin = entry * _BYTES + _TEXT_AT
        name, _, words = content[begin : begin + length].decode("utf-8", "replace").partition(" ")
        yield Entry(name, words, left, kept, tag)
