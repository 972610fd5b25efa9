"""Fills a small file system with a journal beside a ballast file, frees the ballast, and goes on.

    python -m tests.integration.domain.journal.full_disk FOLDER

Prints JSON: how many records went in before it was full, how many afterwards, how many are read back, and the log's words.
"""

import asyncio
import io
import json
import logging
import sys
from pathlib import Path
from uuid import uuid4

from domain.journal.journal import Journal
from domain.journal.reading import open_journals
from domain.journal.records import END
from domain.settings import JournalSettings
from tests.deadlines import until

BALLAST_BYTES = 3 * 1024 * 1024


def fill(journal: Journal, number: int) -> int:
    """Append while it promises, at most 20,000 records; the next number."""
    for following in range(number, number + 20_000):
        if not journal.promise():
            return following
        journal.append(END, following.to_bytes(16, "big") + bytes(284))
    return number + 20_000


async def main(folder: Path) -> None:
    said = io.StringIO()
    logging.basicConfig(stream=said)
    ballast = folder / "ballast"
    ballast.write_bytes(bytes(BALLAST_BYTES))
    journal = Journal(folder / uuid4().hex, JournalSettings(segment_mb=1, max_mb=64))
    await journal.start()
    first = fill(journal, 0)
    stopped, fault = journal.full, journal.status().fault
    ballast.unlink()
    await until(lambda: not journal.full)
    second = fill(journal, first)
    (found,) = open_journals(folder)
    records = [int.from_bytes(record[:16], "big") for _, _, _, record in found.read_from(0, 0)]
    in_order = records == list(range(second))
    await journal.stop()
    figures = {"first": first, "second": second, "stopped": stopped, "fault": fault, "in_order": in_order}
    print(json.dumps({**figures, "said": said.getvalue()}))


if __name__ == "__main__":
    asyncio.run(main(Path(sys.argv[1])))
