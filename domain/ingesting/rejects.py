"""Records that PostgreSQL can never take: set aside in a file of the node, so that the rest goes on.

The file is written and forced to the disk before anything is stored without them, and read at the start: a record that
stands there is left out for good, of the log and of the rollups.
"""

import base64
import json
import logging
import os
from pathlib import Path
from uuid import UUID

from domain.ingesting.batches import Place

FILE_NAME = "rejected.jsonl"
log = logging.getLogger(__name__)


class Rejects:
    """The node's file, and what it says."""

    def __init__(self, folder: Path) -> None:
        self._file = folder / FILE_NAME
        self.places: set[Place] = set()
        try:
            lines = self._file.read_text(encoding="utf-8").splitlines()
        except FileNotFoundError:
            lines = []
        for line in lines:
            try:
                said = json.loads(line)
                self.places.add(Place(UUID(said["journal"]), said["segment"], said["position"]))
            except (ValueError, KeyError, TypeError):
                log.warning("%s has a line that can't be read; it is passed over", self._file)

    def set_aside(self, place: Place, record: bytes, reason: str) -> None:
        """Write down one record. The text of it was scrubbed before it was journaled, so it holds no secret."""
        line = {
            "journal": place.journal_id.hex,
            "segment": place.segment,
            "position": place.offset,
            "request_id": str(UUID(bytes=record[:16])) if len(record) >= 16 else None,
            "reason": reason,
            "record": base64.b64encode(record).decode(),
        }
        with self._file.open("a", encoding="utf-8") as file:
            file.write(json.dumps(line) + "\n")
            file.flush()
            os.fsync(file.fileno())
        self.places.add(place)
        log.error("REQUEST LOG ROW %s CAN NEVER BE STORED (%s); it is in %s", line["request_id"], reason, self._file)
