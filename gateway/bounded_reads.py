"""Reads of bounded size: what one connection can make this process hold at once.

Event loops read up to a quarter of a megabyte at a time. With back-pressure a connection that stalls holds about one
read in each direction, so the size of a read times the number of stalled connections is memory that strangers decide on.
"""

import asyncio

READ_BYTES = 65_536
_block = memoryview(bytearray(READ_BYTES))
"""One for all connections: a loop fills it and hands it over before it looks at another connection."""


class BoundedReads(asyncio.BufferedProtocol):
    """Calls `data_received` with at most `READ_BYTES` bytes."""

    def data_received(self, data: bytes) -> None:
        """Bytes came."""
        raise NotImplementedError

    def get_buffer(self, sizehint: int) -> memoryview:
        """Where the loop shall read to."""
        del sizehint
        return _block

    def buffer_updated(self, nbytes: int) -> None:
        """The loop has read."""
        self.data_received(bytes(_block[:nbytes]))
