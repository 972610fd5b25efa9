"""`python -m tests.drills.disk_full`: no room for the journal while PostgreSQL is away (F10).

The gateway runs in a mount namespace of its own, where its state folder is a small tmpfs; this needs root. When the
room is used up, requests are refused with 503 before they are forwarded, one line of the log says why, and nothing
that was answered is lost. When room is made, while PostgreSQL is still away, it goes on.
"""

import argparse
import os
import random
import re
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

from tests.drills.audit import audit
from tests.drills.evidence import Evidence
from tests.drills.ground import Ground, ground
from tests.drills.storm import settled
from tests.drills.storm_report import show
from tests.drills.victims import again

ROOM_MB = 64
CAST = [
    *((party, kind, pause) for party in (0, 1) for kind, pause in (
        ("get", 0.02), ("get", 0.02), ("post", 0.03), ("fresh", 0.05), ("events", 0.1), ("leaver", 0.3),
    )),
]  # fmt: skip
SMALL = {"JOURNAL_SEGMENT_MB": "1", "JOURNAL_MAX_MB": "4096"}
FULL_SECONDS = 60.0
NO_ROOM, NO_DATABASE = "overloaded", "cannot_decide"
"""Codes of what is refused with 503: for want of room, and by a worker that had not met the key before PostgreSQL went."""


def possible() -> bool:
    """Whether this machine lets us mount in a namespace of our own."""
    if os.geteuid() != 0 or shutil.which("unshare") is None:
        return False
    return subprocess.run(["unshare", "--mount", "true"], check=False, capture_output=True).returncode == 0


def disk_full(place: Ground, *, calm: float = 3.0) -> list[str]:
    """Fill the disk under load, make room, let PostgreSQL come back; in words, what did not hold."""
    ballast = Path(f"/proc/{place.supervisor}/root{place.state_folder}/ballast")
    broken: list[str] = []
    with place.callers("d", CAST):
        time.sleep(calm)
        place.servers.postgres.kill()
        try:
            # Most of the disk is taken by somebody else, as on a real one; the journals get what is left.
            _fill(ballast, leave_mb=3)
            full_at = _until_refused(place)
            broken += [] if full_at else ["requests go on for a minute without room for their records"]
            time.sleep(calm)
            ballast.unlink()
            roomy_at = time.monotonic()
            time.sleep(calm + 2.0)
        finally:
            again(place.servers.postgres.start)
        time.sleep(calm)
    evidence = Evidence.of(place.folder)
    report = audit(evidence, settled(place, evidence))
    show(report, evidence)
    refused = [seen for seen in evidence.sightings if seen.status == 503]
    codes = {seen.code for seen in refused if seen.whole} - {NO_ROOM, NO_DATABASE}
    broken += [f"requests were refused with 503 as {sorted(codes)}"] if codes else []
    arrived = {arrival.request_id for arrival in evidence.arrivals}
    broken += report.broken
    broken += [
        f"{seen.request_id} was refused with 503 and forwarded" for seen in refused if seen.request_id in arrived
    ]
    broken += [
        f"status {seen.status}: {seen.serial}" for seen in evidence.sightings if seen.status not in {0, 200, 503}
    ]
    late = [seen for seen in evidence.sightings if seen.began > roomy_at + 2.0 and seen.status == 503]
    broken += [f"{len(late)} requests were refused over 2 s after there was room again"] if late else []
    lines = [line for line in place.log_end("gateway", 1_000_000).splitlines() if re.search("(?i)journal", line)]
    said = [line for line in lines if re.search("(?i)error|critical", line)]
    print(
        f"{sum(seen.code == NO_ROOM for seen in refused)} of {len(refused)} requests refused with 503 for want of room; the log says:",
        *said[:4],
        sep="\n  ",
    )
    print(*(line for line in lines if line not in said), sep="\n  ")
    broken += [] if said else ["the log does not say that there is no room"]
    broken += [f"the log says {len(said)} times that there is no room"] if len(said) > 12 else []
    return broken


def _fill(ballast: Path, leave_mb: int) -> None:
    room = shutil.disk_usage(ballast.parent).free - leave_mb * 1_000_000
    ballast.write_bytes(bytes(max(0, room)))


def _until_refused(place: Ground) -> float:
    """When the first refusal for want of room was seen; 0 if none was in time."""
    deadline = time.monotonic() + FULL_SECONDS
    while time.monotonic() < deadline:
        if any(seen.code == NO_ROOM for seen in Evidence.of(place.folder).sightings):
            return time.monotonic()
        time.sleep(0.5)
    return 0.0


@contextmanager
def small_disk(seed: int) -> Iterator[Ground]:
    """An installation whose gateway keeps its state on a small disk."""
    with TemporaryDirectory(prefix="paid-endpoint-disk-") as name:
        folder = Path(name)
        state = folder / "state"
        state.mkdir()
        mount = f'mount -t tmpfs -o size={ROOM_MB}m tmpfs {state} && exec "$@"'
        wrapping = ["unshare", "--mount", "--propagation", "private", "sh", "-c", mount, "sh"]
        with ground(seed, folder, wrapping, **SMALL) as place:
            yield place


def main() -> int:
    """See the module."""
    parser = argparse.ArgumentParser(prog="python -m tests.drills.disk_full", description=__doc__)
    parser.add_argument("--seed", type=int, default=None)
    options = parser.parse_args()
    if not possible():
        print("This drill mounts a small disk in a namespace of its own, which needs root and unshare.")
        return 2
    with small_disk(options.seed if options.seed is not None else random.SystemRandom().randrange(10**6)) as place:
        broken = disk_full(place)
    print(*(f"BROKEN: {what}" for what in broken), sep="\n")
    return 1 if broken else 0


if __name__ == "__main__":
    sys.exit(main())
