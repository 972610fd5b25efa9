"""Two parts of one list, each in the order (at, id) descending, as one."""

from collections.abc import Iterable, Sequence
from datetime import datetime

from domain.cursors import Cursor
from domain.log_reading import LogEntry
from domain.log_search import FoundLogs


def merged(parts: Sequence[FoundLogs], limit: int) -> FoundLogs:
    """The first `limit` of all, as far as every part has looked back. Parts share no row."""
    unfinished = [part for part in parts if part.following is not None]
    first = max(unfinished, key=_reach, default=None)
    entries = newest_first(entry for part in parts for entry in part.entries)
    if first is not None:
        entries = [entry for entry in entries if _place(entry) >= _reach(first)]
    if len(entries) > limit:
        entries = entries[:limit]
        return FoundLogs(entries, Cursor(entries[-1].at, entries[-1].id))
    return FoundLogs(entries, first.following if first else None, first.looked_back_to if first else None)


def newest_first(entries: Iterable[LogEntry]) -> list[LogEntry]:
    """In the order of the list."""
    return sorted(entries, key=_place, reverse=True)


def _place(entry: LogEntry) -> tuple[datetime, int]:
    return entry.at, entry.id.int


def _reach(part: FoundLogs) -> tuple[datetime, int]:
    assert part.following is not None
    return part.following.at, part.following.id.int
