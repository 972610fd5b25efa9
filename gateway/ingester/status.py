"""What the ingester says of itself: a small file beside the journals, which /ready reads, and the shared files of /metrics."""

import asyncio
import contextlib
import json
import os
import time
from collections import Counter
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from domain.ingesting.ingester import Ingester, IngesterStatus
from gateway.metrics import LAG, SILENT_SECONDS, Counts, SharedCounts

if TYPE_CHECKING:
    # Workers read the report and need no client of the log store for it.
    from domain.log_store.shipping import Shipper

STATUS_FILE = "ingester.json"
PUBLISH_SECONDS = 1.0
LATE_SECONDS = 5.0
"""A lag that /ready speaks of."""
UNSENT_SECONDS = 60.0
"""The same of what waits for the log store."""


@dataclass(frozen=True, slots=True)
class IngesterReport:
    """The last word of the node's ingester. `age_seconds` is how long ago it was said.

    `unsent_seconds`: for how long rows have waited for the log store, as far as this node sends them.
    """

    lag_seconds: float
    rejected: int
    torn: int
    spool_bytes: int
    fault: str
    age_seconds: float
    unsent_seconds: float = 0.0
    unsent_fault: str = ""

    def reasons(self) -> list[str]:
        """What an operator should know, in plain words; empty if all is well."""
        said = []
        if self.age_seconds > SILENT_SECONDS:
            said.append(
                f"request log: the ingester has said nothing for {self.age_seconds:.0f} s; rows wait on the disk"
            )
        elif self.lag_seconds > LATE_SECONDS:
            why = f" ({self.fault})" if self.fault else ""
            said.append(f"request log: rows wait on the disk since {self.lag_seconds:.0f} s{why}")
        if self.unsent_seconds > UNSENT_SECONDS or self.unsent_fault:
            why = f" ({self.unsent_fault})" if self.unsent_fault else ""
            said.append(f"log store: rows wait in PostgreSQL since {self.unsent_seconds:.0f} s{why}")
        if self.rejected:
            said.append(
                f"request log: {self.rejected} rows could never be stored; see rejected.jsonl in the journal folder"
            )
        return said


def read_report(state_folder: Path) -> IngesterReport | None:
    """What the ingester of this node said last; None if none ever ran here."""
    file = state_folder / "journal" / STATUS_FILE
    try:
        age = max(0.0, time.time() - file.stat().st_mtime)
        said = json.loads(file.read_text())
        unsent = said.get("log_store") or {"lag_seconds": 0.0, "fault": ""}
        return IngesterReport(
            lag_seconds=said["lag_seconds"] + (age if age > SILENT_SECONDS else 0.0),
            rejected=said["rejected"],
            torn=said["torn"],
            spool_bytes=said["spool_bytes"],
            fault=said["fault"],
            age_seconds=age,
            unsent_seconds=unsent["lag_seconds"],
            unsent_fault=unsent["fault"],
        )
    except (OSError, ValueError, KeyError, TypeError):
        return None


async def publish_often(ingester: Ingester, folder: Path, shipper: "Shipper | None" = None) -> None:
    """Publish once a second until cancelled, and then once more."""
    shared, counts = SharedCounts(os.getppid()), Counts(Counter())
    try:
        while True:
            _publish(ingester.status(), folder, shared, counts, shipper)
            await asyncio.sleep(PUBLISH_SECONDS)
    finally:
        _publish(ingester.status(), folder, shared, counts, shipper)


def _publish(
    status: IngesterStatus, folder: Path, shared: SharedCounts, counts: Counts, shipper: "Shipper | None"
) -> None:
    # A disk that is full or gone takes the words and never the ingester: storing is what makes room.
    file = folder / STATUS_FILE
    draft = file.with_suffix(".new")
    shipping = shipper.status() if shipper else None
    told = {**asdict(status), "pid": os.getpid(), "log_store": asdict(shipping) if shipping else None}
    try:
        draft.write_text(json.dumps(told))
        draft.replace(file)
    except OSError:
        with contextlib.suppress(OSError):
            draft.unlink(missing_ok=True)
            os.utime(file)
    counts.gauges.update({LAG: round(status.lag_seconds, 3)}, workers=0, journal_bytes=status.spool_bytes, ingesters=1)
    counts.totals.update(
        log_rows_written=status.stored,
        log_rows_rejected=status.rejected,
        log_rows_cut=status.cut,
        journal_tears=status.torn,
        rollup_folds=status.folds,
        ingester_faults=status.faults,
    )
    if shipping:
        counts.gauges.update(
            log_store_lag_seconds=round(shipping.lag_seconds, 3), log_store_rows_waiting=shipping.waiting
        )
        counts.totals.update(log_store_rows_sent=shipping.sent, log_store_faults=shipping.faults)
    with contextlib.suppress(OSError):
        shared.publish(counts)
