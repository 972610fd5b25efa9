"""Whatever is answered can be written down (G3): room in the journal for this request, before anything is counted.

Refuses with 503 while there is none: the disk is full, or PostgreSQL was away for longer than JOURNAL_MAX_MB holds.
"""

from typing import TYPE_CHECKING

from domain.refusals import Overloaded

if TYPE_CHECKING:
    from gateway.exchange import Exchange

RETRY_AFTER_SECONDS = 5


class JournalFull(Overloaded):
    """The one refusal that leaves no record."""


def admit_recordable(exchange: "Exchange") -> None:
    """Keep the room; the record of this exchange gives it back."""
    if not exchange.services.journal.promise():
        raise JournalFull(retry_after_seconds=RETRY_AFTER_SECONDS)
