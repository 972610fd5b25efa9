"""Returns what workers of this node held when they were killed. Every worker looks about once a second.

Each window of a dead worker's book is told to Redis as its holder's last word, with a sequence number that nothing of
it can follow. Telling it twice changes nothing. While Redis is away the book stays.
"""

import fcntl
import logging
import os
from collections import defaultdict
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path

from domain.quotas.book import SUFFIX, Entry, read_entries
from domain.quotas.shapes import CONCURRENT, MONTH, SLIDING
from domain.redis_keys import marker_of

log = logging.getLogger(__name__)

LAST_SEQUENCE = 2**52
_MOST_WINDOWS = 100
_LONGEST_MONTH_SECONDS = 31 * 86_400

Run = Callable[..., Awaitable[object]]


async def settle_dead_books(folder: Path, run: Run) -> int:
    """Return the permits of every book whose worker is dead, with `run(*arguments)` of lease.lua; how many there were.

    Raises what `run` raises; the book stays then.
    """
    settled = 0
    for path in _books(folder):
        async with _locked(path) as content:
            if content is None:
                continue
            for arguments in last_words(path.stem, list(read_entries(content))):
                await run(*arguments)
            path.unlink(missing_ok=True)
            settled += 1
            log.warning("returned the permits of a worker that died: %s", path.stem)
    return settled


def _books(folder: Path) -> list[Path]:
    return list(folder.glob(f"*{SUFFIX}"))


def last_words(holder: str, entries: list[Entry]) -> list[list[str | int]]:
    """The calls of lease.lua that settle a dead holder's windows, one organization at a time."""
    by_organization: defaultdict[str, list[Entry]] = defaultdict(list)
    for entry in entries:
        by_organization[marker_of(entry.name)].append(entry)
    calls: list[list[str | int]] = []
    for marker, all_of_it in by_organization.items():
        for begin in range(0, len(all_of_it), _MOST_WINDOWS):
            part = all_of_it[begin : begin + _MOST_WINDOWS]
            names = [entry.name for entry in part]
            calls.append(
                [len(part) + 1, *names, marker, holder, LAST_SEQUENCE + len(calls), 0, *(_last_word(e) for e in part)]
            )
    return calls


def _last_word(entry: Entry) -> str:
    kind, amount, length, enforced, *tail = entry.words.split(" ")
    # Cells are written so that a worker killed between two of them has spent too much, never too little.
    spent = 0 if int(kind) == CONCURRENT else max(0, entry.kept - entry.left)
    if int(kind) == MONTH:
        tail = [str(entry.tag), str(entry.tag + _LONGEST_MONTH_SECONDS)]
    heard = str(spent) if int(kind) == SLIDING else "-1"
    return " ".join([kind, amount, length, enforced, "0", str(entry.tag), str(spent), heard, "0", "0", "-2", *tail])


@asynccontextmanager
async def _locked(path: Path) -> AsyncIterator[bytes | None]:
    """The content of a book that nobody has locked, locked by us; None of one that lives or is gone."""
    try:
        file = os.open(path, os.O_RDWR)
    except FileNotFoundError:
        yield None
        return
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(file)
        yield None
        return
    try:
        # Another worker may have settled and removed it between our opening and our locking.
        yield os.read(file, os.fstat(file).st_size) if os.fstat(file).st_nlink else None
    finally:
        os.close(file)
