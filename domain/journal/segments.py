"""One file of a journal: a header, then frames, then zeros to its end. Made at its full size, so that writing needs no room.

    header   64 bytes: magic, format version, segment number, journal id, size, time, salt, CRC-32
    frame    word | CRC-32 | payload | zeros up to a multiple of 8
             word = kind << 24 | length of the payload; it is stored last, in one aligned store

A word of 0 says that nothing is there yet. A writer that dies between any two instructions leaves a frame whole or leaves
its word 0. The CRC begins with the word and the segment's random salt, so that after a power cut neither a torn frame nor
bytes that a caller chose can pass for one. SEAL, a frame without payload, says that the journal goes on in the next file.
"""

import mmap
import os
import secrets
import struct
import time
import zlib
from pathlib import Path
from typing import NamedTuple
from uuid import UUID

MAGIC = b"PEJOURNL"
FORMAT_VERSION = 1
HEADER_BYTES = 64
FRAME_BYTES = 8
SEAL = 0x7F
SUFFIX, DRAFT_SUFFIX = ".seg", ".new"
LENGTH_MASK = 0xFFFFFF

_HEADER = struct.Struct("=8sHHI16sQQI")
_CRC = struct.Struct("=I")
_FRAME = struct.Struct("=II")


class UnknownFormat(Exception):  # noqa: N818  it is whole, only not ours to read
    """A segment of another version of this program (or another byte order). It is left as it is."""


class NotASegment(Exception):  # noqa: N818
    """The header is not whole, as a power cut leaves it: nothing behind it was ever forced to the disk."""


class SegmentHeader(NamedTuple):
    """What a segment says of itself. `size` is the whole file's, in bytes; `made_us` microseconds since 1970."""

    number: int
    journal_id: UUID
    size: int
    made_us: int
    salt: int


def segment_path(folder: Path, number: int) -> Path:
    """Where a segment lies. Numbers begin with 1 and never come again; beyond 8 digits names grow."""
    return folder / f"{number:08d}{SUFFIX}"


def segment_numbers(folder: Path) -> list[int]:
    """The segments in a folder, in order; empty if it is gone."""
    try:
        names = os.listdir(folder)  # noqa: PTH208  without a Path for each
    except FileNotFoundError:
        return []
    return sorted(int(name[: -len(SUFFIX)]) for name in names if name.endswith(SUFFIX) and name[0].isdigit())


def make_segment(folder: Path, number: int, journal_id: UUID, size: int) -> tuple[int, int]:
    """A new segment with all its room; its open file descriptor and its salt. Appears whole or not at all.

    Raises OSError (ENOSPC, EDQUOT, EFBIG) where there is no room; then nothing is left of it.
    """
    draft = segment_path(folder, number).with_suffix(DRAFT_SUFFIX)
    descriptor = os.open(draft, os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
    try:
        os.posix_fallocate(descriptor, 0, size)
        salt = secrets.randbits(32)
        fields = _HEADER.pack(
            MAGIC, FORMAT_VERSION, HEADER_BYTES, number, journal_id.bytes, size, time.time_ns() // 1000, salt
        )
        os.pwrite(descriptor, fields + _CRC.pack(zlib.crc32(fields)), 0)
        draft.rename(segment_path(folder, number))
    except BaseException:
        os.close(descriptor)
        draft.unlink(missing_ok=True)
        raise
    return descriptor, salt


def read_header(data: bytes) -> SegmentHeader:
    """The header of a file's first bytes. Raises UnknownFormat or NotASegment."""
    if len(data) < HEADER_BYTES or data[: len(MAGIC)] != MAGIC:
        raise NotASegment("no header")
    _, version, length, number, journal_id, size, made_us, salt = _HEADER.unpack_from(data)
    if version != FORMAT_VERSION:
        raise UnknownFormat(f"format version {version}; this program reads {FORMAT_VERSION}")
    if length != HEADER_BYTES or _CRC.unpack_from(data, _HEADER.size)[0] != zlib.crc32(data[: _HEADER.size]):
        raise NotASegment("a torn header")
    return SegmentHeader(number, UUID(bytes=journal_id), size, made_us, salt)


def frame_at(data: bytes | mmap.mmap, position: int, salt: int) -> tuple[int, bytes, int] | None:
    """The frame there: kind, payload, and the position behind it. None if none begins there (see `is_blank`)."""
    word, crc = _FRAME.unpack_from(data, position)
    start = position + FRAME_BYTES
    end = start + (word & LENGTH_MASK)
    if not word or end > len(data):
        return None
    payload = bytes(data[start:end])
    if zlib.crc32(payload, word ^ salt) != crc:
        return None
    return word >> 24, payload, (end + 7) & -8


def is_blank(data: bytes | mmap.mmap, position: int) -> bool:
    """Whether the word there is 0: the end of what was written."""
    return position + FRAME_BYTES > len(data) or not _CRC.unpack_from(data, position)[0]
