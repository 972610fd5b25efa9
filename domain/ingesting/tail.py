"""One journal as the ingester follows it: where it is, and which requests have begun to be answered and not ended."""

import logging
from collections.abc import Container
from uuid import UUID

from domain.ingesting.batches import Batch, Place, at_us
from domain.ingesting.positions import BEGINNING, CLOSED, Move, Position
from domain.ingesting.tallies import Tallies
from domain.journal.reading import JournalFolder
from domain.journal.records import BEGIN, END, OUTCOME_CODE

log = logging.getLogger(__name__)

_OUTCOME_AT = 130
_CUT = bytes((OUTCOME_CODE["cut"],))
_ID = slice(0, 16)


def cut_row(begin: bytes) -> bytes:
    """The row of a request whose END can't come any more, made of its BEGIN."""
    return begin[:_OUTCOME_AT] + _CUT + begin[_OUTCOME_AT + 1 :]


class Tail:
    """`stored` and `folded` are the database's positions of the two consumers. Used by one task, made anew after a fault."""

    def __init__(self, journal: JournalFolder, stored: Position, folded: Position) -> None:
        self.journal, self.stored, self.folded = journal, stored, folded
        self.torn = 0
        self._open: dict[bytes, tuple[int, bytes]] = {}
        self._lowest = 0

    @property
    def id(self) -> UUID:
        """The journal's."""
        return self.journal.id

    def recall(self, tallies: Tallies, rejected: Container[Place]) -> None:
        """Read again what is stored: for the requests that are open, and for what the rollups don't hold yet."""
        for segment, offset, kind, payload in self.journal.read_from(*BEGINNING):
            if (segment, offset) > self.stored:
                break
            self._note(segment, kind, payload)
            if kind == END and (segment, offset) > self.folded and Place(self.id, segment, offset) not in rejected:
                tallies.count(payload)
        if self.stored == CLOSED and self.folded != CLOSED:
            for place, record in self._cut_rows():
                if place not in rejected:
                    tallies.count(record)
        self._heed_tears()

    def read(self, batch: Batch, room: int, rejected: Container[Place]) -> int:
        """Add up to `room` records to the batch; how many frames were read."""
        if self.stored == CLOSED:
            return 0
        dead = self.journal.is_dead()
        reached, frames = self.stored, 0
        for segment, offset, kind, payload in self.journal.read_from(*self.stored):
            self._note(segment, kind, payload)
            reached = Position(segment, offset)
            place = Place(self.id, segment, offset)
            if kind == END and place not in rejected:
                batch.records.append(payload)
                batch.places.append(place)
            frames += 1
            if frames >= room:
                break
        else:
            if dead:
                self._close(batch, rejected)
                reached = CLOSED
        if reached != self.stored:
            batch.moves.append(Move(self.id, self.stored, reached))
        self._heed_tears()
        return frames

    def oldest_waiting_us(self) -> int | None:
        """When the first request that is not stored ended; None if all are."""
        if self.stored != CLOSED:
            for _, _, kind, payload in self.journal.read_from(*self.stored):
                if kind == END:
                    return at_us(payload)
        return None

    def release(self) -> None:
        """Delete the segments that nobody needs any more."""
        needed = min((segment for segment, _ in self._open.values()), default=CLOSED.segment)
        lowest = min(self.stored.segment, self.folded.segment, needed)
        if lowest > self._lowest and lowest != CLOSED.segment:
            self._lowest = lowest
            self.journal.delete_segments_below(lowest)

    def over(self) -> bool:
        """Whether the journal has no further use."""
        return self.stored == CLOSED and self.folded == CLOSED

    def _note(self, segment: int, kind: int, payload: bytes) -> None:
        if kind == BEGIN:
            self._open[payload[_ID]] = segment, payload
        elif self._open:
            self._open.pop(payload[_ID], None)

    def _close(self, batch: Batch, rejected: Container[Place]) -> None:
        for place, record in self._cut_rows():
            if place not in rejected:
                batch.records.append(record)
                batch.places.append(place)
                batch.cut += 1

    def _cut_rows(self) -> list[tuple[Place, bytes]]:
        """Rows of requests whose worker died before their end. They are named by their turn behind the journal's end."""
        rows = [cut_row(payload) for _, payload in self._open.values()]
        return [(Place(self.id, CLOSED.segment, turn), row) for turn, row in enumerate(sorted(rows))]

    def _heed_tears(self) -> None:
        for tear in self.journal.tears[self.torn :]:
            say = log.error if tear.lost else log.info
            say("journal %s: segment %d is torn at byte %d; the rest of it is left out", self.id, *tear[:2])
        self.torn = len(self.journal.tears)
