"""Forks writers that append as fast as they can, kills each with SIGKILL at a random time, and reads what they left.

    python -m tests.integration.domain.journal.killed_writers FOLDER ROUNDS WRITERS

Prints JSON: kills, records acknowledged, found, missing, wrong, torn. A writer tells through a pipe up to which record it
has appended; a record's bytes follow from its number, so that a wrong one is noticed.
"""

import asyncio
import json
import os
import random
import select
import signal
import struct
import sys
import time
from collections import Counter
from pathlib import Path
from uuid import UUID, uuid4

from domain.journal.journal import Journal
from domain.journal.reading import JournalFolder
from domain.journal.records import BEGIN, END
from domain.settings import JournalSettings

ACKNOWLEDGE_EVERY = 8
TURN = 500
ACKNOWLEDGEMENT = struct.Struct("=Q")


def payload(number: int) -> bytes:
    return number.to_bytes(16, "big") + bytes([number % 251 + 1]) * (40 + number * 7919 % 700)


async def write(folder: Path, pipe: int) -> None:
    """Until killed."""
    journal = Journal(folder, JournalSettings(segment_mb=1, max_mb=4_096, fsync_ms=20))
    await journal.start()
    number = 0
    while True:
        number += 1
        if not journal.promise():
            raise RuntimeError("no room")
        if number % 10 == 0:
            journal.append(BEGIN, payload(number))
        journal.append(END, payload(number))
        if number % ACKNOWLEDGE_EVERY == 0:
            os.write(pipe, ACKNOWLEDGEMENT.pack(number))
        if number % TURN == 0:
            await asyncio.sleep(0)


def start(folder: Path) -> tuple[int, int]:
    """A forked writer: its process id and the pipe to read from."""
    reads, writes = os.pipe()
    pid = os.fork()
    if pid:
        os.close(writes)
        return pid, reads
    os.close(reads)
    try:
        asyncio.run(write(folder, writes))
    finally:
        os._exit(1)


def acknowledged(writers: dict[int, int], moment: float) -> dict[int, int]:
    """Read acknowledgements until `moment` seconds after each has begun; then kill all and read the rest."""
    said = dict.fromkeys(writers, b"")
    ends = None
    while ends is None or time.monotonic() < ends:
        for pipe in select.select(list(writers), [], [], 0.001)[0]:
            said[pipe] += os.read(pipe, 65_536)
        if ends is None and all(said.values()):
            ends = time.monotonic() + moment
    for pipe, pid in writers.items():
        os.kill(pid, signal.SIGKILL)
        os.waitpid(pid, 0)
        while more := os.read(pipe, 65_536):
            said[pipe] += more
        os.close(pipe)
    return {pipe: ACKNOWLEDGEMENT.unpack_from(text, len(text) // 8 * 8 - 8)[0] for pipe, text in said.items()}


def look(folder: Path, least: int, count: Counter[str]) -> None:
    journal = JournalFolder(folder)
    assert journal.is_dead()
    found = Counter[tuple[int, int]]()
    for _, _, kind, record in journal.read_from(0, 0):
        number = int.from_bytes(record[:16], "big")
        count["wrong"] += record != payload(number)
        found[kind, number] += 1
    ends = {number for kind, number in found if kind == END}
    count["missing"] += len(set(range(1, least + 1)) - ends)
    count["missing"] += sum((BEGIN, number) not in found for number in range(10, least + 1, 10))
    count["duplicates"] += sum(times - 1 for (kind, _), times in found.items() if kind == END)
    count["unordered"] += max(ends) != len(ends)
    count["acknowledged"] += least
    count["found"] += len(ends)
    count["lost"] += sum(tear.lost for tear in journal.tears)
    count["unfinished"] += sum(not tear.lost for tear in journal.tears)
    journal.delete()


def main() -> None:
    base, rounds, at_once = Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3])
    count: Counter[str] = Counter()
    for _ in range(rounds):
        folders = [base / uuid4().hex for _ in range(at_once)]
        started = [start(folder) for folder in folders]
        least = acknowledged({pipe: pid for pid, pipe in started}, random.uniform(0, 0.04))
        for folder, (_, pipe) in zip(folders, started, strict=True):
            assert UUID(folder.name)
            look(folder, least[pipe], count)
            count["kills"] += 1
    print(json.dumps(count))


if __name__ == "__main__":
    main()
