"""A batch: records of any number of journals, with the places that storing them leads to."""

import struct
from dataclasses import dataclass, field
from typing import NamedTuple
from uuid import UUID

from domain.ingesting.positions import Move

_AT = struct.Struct("=q")
_AT_OFFSET, _COST_OFFSET = 80, 120
_FREE = bytes(8)


class Place(NamedTuple):
    """Where a record stands: the position behind it."""

    journal_id: UUID
    segment: int
    offset: int


@dataclass(slots=True)
class Batch:
    """`records` are END payloads, and rows made of a BEGIN whose END can't come any more; `places` name them one by one."""

    records: list[bytes] = field(default_factory=list)
    places: list[Place] = field(default_factory=list)
    moves: list[Move] = field(default_factory=list)
    cut: int = 0

    def without(self, bad: set[Place]) -> "Batch":
        """The same without some records, with the same moves."""
        kept = [at for at, place in enumerate(self.places) if place not in bad]
        return Batch([self.records[at] for at in kept], [self.places[at] for at in kept], self.moves, self.cut)


def at_us(record: bytes) -> int:
    """When the request of a record ended, microseconds since 1970."""
    moment: int = _AT.unpack_from(record, _AT_OFFSET)[0]
    return moment


def cost_micro(record: bytes) -> int:
    """What its request cost, in micro-credits."""
    if record[_COST_OFFSET : _COST_OFFSET + 8] == _FREE:
        return 0
    cost: int = _AT.unpack_from(record, _COST_OFFSET)[0]
    return cost
