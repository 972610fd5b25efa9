"""Checks of the folder that holds this node's journals and lease books: usable, room, followed, nothing left behind."""

import os
import shutil
from collections.abc import Iterator
from pathlib import Path

from cli.checkup.finding import Finding, judge
from domain.ingesting.ingester import bytes_below
from domain.journal.reading import JournalFolder, is_free, open_journals
from domain.journal.segments import UnknownFormat
from domain.settings import Settings
from domain.state_folder import why_unusable

_MEBIBYTE = 1024 * 1024
_BOOK_MB = 16


def check_state_folder(settings: Settings) -> Iterator[Finding]:
    """All of them; the rest only if the folder is there. Makes nothing that a gateway has not made."""
    folder = settings.gateway.state_folder
    if not folder.exists():
        yield _check_parent(folder)
        return
    why = why_unusable(folder)
    yield judge("state folder", why or str(folder), fails=bool(why), advice="Let the gateway's account write there.")
    if why:
        return
    yield _check_room(settings, folder)
    yield from _check_journals(folder / "journal")


def _check_parent(folder: Path) -> Finding:
    parent = next(place for place in folder.absolute().parents if place.exists())
    usable = parent.is_dir() and os.access(parent, os.W_OK | os.X_OK)
    detail = f"{folder}: not there yet" + ("" if usable else f", and {parent} cannot be written to")
    return judge(
        "state folder", detail, fails=not usable, advice="Let GATEWAY_STATE_DIR name a folder on a local disk."
    )


def _check_room(settings: Settings, folder: Path) -> Finding:
    """At the least two segments and a book of each worker, beside those of a predecessor on reload."""
    free, workers = shutil.disk_usage(folder).free, settings.gateway.workers
    least = 2 * workers * (2 * settings.journal.segment_mb + _BOOK_MB) * _MEBIBYTE
    most = workers * settings.journal.max_mb * _MEBIBYTE
    return judge(
        "state folder's disk",
        f"{free / 1e9:.1f} GB free; journals may take {most / 1e9:.1f} GB while PostgreSQL is away",
        fails=free < least,
        warns=free < most,
        advice="Make room, or lower JOURNAL_MAX_MB: on a full disk requests are refused with 503.",
    )


def _check_journals(folder: Path) -> Iterator[Finding]:
    journals = open_journals(folder)
    dead = [journal for journal in journals if journal.is_dead()]
    lock = folder / "ingester.held"
    followed = lock.exists() and not is_free(lock)
    size = bytes_below(folder)
    yield judge(
        "journals",
        f"{len(journals) - len(dead)} of running workers, {len(dead)} of ended ones, {size / 1e6:.0f} MB; "
        + ("an ingester stores them" if followed else "no ingester runs"),
        warns=bool(journals) and not followed,
        advice="Start a gateway with this GATEWAY_STATE_DIR and DATABASE_URL; never delete a journal that is not stored.",
    )
    if foreign := [journal for journal in journals if not _readable(journal)]:
        advice = "Start the version that wrote it once, and stop it in order: that stores it."
        yield Finding("warn", "journals", f"{foreign[0].path} is of another version of this program", advice)
    if (rejected := folder / "rejected.jsonl").exists():
        rows = rejected.read_bytes().count(b"\n")
        yield Finding("warn", "rejected rows", f"{rows} in {rejected}", "PostgreSQL can't take them; report them.")


def _readable(journal: JournalFolder) -> bool:
    try:
        next(iter(journal.read_from(0, 0)), None)
    except UnknownFormat:
        return False
    return True
