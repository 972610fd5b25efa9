"""Writes a journal as fast as asked: `python -m loadtests.ingest.feed FOLDER --rows N --rate R --keys K`.

FOLDER is where a node's journals are; its ingester finds the new one. Rows are like those of the bench's requests. Four
times a second, and at the very end, comes a probe: a row of the organization PROBES whose id says when it was written.
Prints what was done as a line of JSON (`Fed`).
"""

import argparse
import asyncio
import json
import time
from dataclasses import asdict, dataclass
from hashlib import md5
from pathlib import Path
from uuid import UUID, uuid4

import uvloop

from domain.journal.journal import Journal
from domain.journal.records import END, pack_end
from domain.request_ids import new_request_id
from domain.settings import JournalSettings

PROBES = UUID("00000000-0000-4000-8000-0000000000f1")
PROBE_SECONDS = 0.25
TURN_ROWS, TURN_SECONDS, FULL_SECONDS = 200, 0.002, 0.01
KEYS_PER_ORGANIZATION, OPERATIONS = 20, 10
_LOW = (1 << 62) - 1


@dataclass(frozen=True, slots=True)
class Fed:
    """`began_ns` and `ended_ns` are monotonic; `waits` is how often the journal had no room."""

    rows: int
    began_ns: int
    ended_ns: int
    waits: int


def written_at(id_: UUID) -> float:
    """When the probe of that id was written, monotonic seconds."""
    return (id_.int & _LOW) / 1e9


def dimensions(keys: int) -> list[bytes]:
    """Organization, key, service and operation of each row in turn: so many keys, of fewer organizations."""
    return [
        _id("organization", number // KEYS_PER_ORGANIZATION) + _id("key", number)
        + _id("service", 0) + _id("operation", number % OPERATIONS)
        for number in range(keys)
    ]  # fmt: skip


async def feed(journal: Journal, rows: int, rate: float, keys: int) -> Fed:
    """Write so many rows, `rate` a second or, if that is 0, as fast as there is room."""
    who = dimensions(keys)
    began = probed = time.monotonic()
    began_ns, written, waits = time.monotonic_ns(), 0, 0
    while written < rows:
        now = time.monotonic()
        if now - probed >= PROBE_SECONDS:
            probed = now
            waits += await _append(journal, _probe_id(), PROBES.bytes + bytes(48))
        due = min(rows, written + TURN_ROWS, round((now - began) * rate) if rate else rows)
        for number in range(written, due):
            waits += await _append(journal, new_request_id().bytes, who[number % keys])
        await asyncio.sleep(TURN_SECONDS if rate and due < written + TURN_ROWS else 0)
        written = max(written, due)
    waits += await _append(journal, _probe_id(), PROBES.bytes + bytes(48))
    return Fed(rows, began_ns, time.monotonic_ns(), waits)


async def _append(journal: Journal, id_: bytes, who: bytes) -> int:
    waits = 0
    while not journal.promise():
        waits += 1
        await asyncio.sleep(FULL_SECONDS)
    record = pack_end(
        id_, who, time.time_ns() // 1000, 900, 400, 120, 380, 1, 200, 0, b"GET", b"/bench/items", b"", b"", b"",
        b"127.0.0.1", b"wrk", b"0af7651916cd43dd8448eb211c80319c", bytes(96),
    )  # fmt: skip
    journal.append(END, record)
    return waits


def _probe_id() -> bytes:
    return UUID(int=time.time_ns() // 1_000_000 << 80 | 0x7 << 76 | 0b10 << 62 | time.monotonic_ns() & _LOW).bytes


def _id(kind: str, number: int) -> bytes:
    return md5(f"{kind} {number}".encode(), usedforsecurity=False).digest()


async def run(folder: Path, rows: int, rate: float, keys: int) -> Fed:
    """A journal of its own in `folder`, fed and closed."""
    journal = Journal(folder / uuid4().hex, JournalSettings())
    await journal.start()
    try:
        return await feed(journal, rows, rate, keys)
    finally:
        await journal.stop()


def main() -> None:
    """See the module."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--rows", type=int, required=True)
    parser.add_argument("--rate", type=float, default=0.0)
    parser.add_argument("--keys", type=int, default=20)
    options = parser.parse_args()
    print(json.dumps(asdict(uvloop.run(run(options.folder, options.rows, options.rate, options.keys)))))


if __name__ == "__main__":
    main()
