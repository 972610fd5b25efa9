"""Reads of bounded size: what one connection can make this process hold at once.

Event loops read up to a quarter of a megabyte at a time. With back-pressure a connection that stalls holds about one
read in each direction, so the size of a read times the number of stalled connections is memory that strangers decide on.
"""

import asyncio
import mmap
from typing import Final

READ_BYTES: Final = 65_536
room: Final = mmap.mmap(-1, READ_BYTES, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)
"""One for all connections: a loop fills it and hands it over before it looks at another connection.

A map, because a slice of it is bytes at once; a slice of `block` copies nothing. Private: a forked process has its own.
"""
block: Final = memoryview(room)


class _Always(dict[int, memoryview]):
    """The room, whatever size is suggested."""

    def __missing__(self, size: int) -> memoryview:
        return block


class BoundedReads(asyncio.BufferedProtocol):
    """Calls `data_received` with at most `READ_BYTES` bytes. A hot path may override `buffer_updated` instead."""

    # A look-up in C, because a loop asks before every read: libuv for 65,536 bytes, asyncio for -1.
    get_buffer = _Always({65_536: block, -1: block}).__getitem__  # type: ignore[assignment]  # no method, but called so

    def data_received(self, data: bytes) -> None:
        """Bytes came."""
        raise NotImplementedError

    def buffer_updated(self, nbytes: int) -> None:
        """The loop has read."""
        self.data_received(room[:nbytes])
