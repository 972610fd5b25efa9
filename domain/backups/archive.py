"""The file of a backup: a zip archive, one member for each table, and the manifest, which is written last.

Made under another name and forced to the disk before it gets its own, so a file with that name is whole. Mode 600: it
holds customers' addresses and what their keys and passwords are checked against.
"""

import fcntl
import hashlib
import io
import os
import time
import zipfile
import zlib
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO, Any

from domain.backups.manifest import DamagedBackup, Manifest, SavedTable, from_json, to_json
from domain.backups.tables import StoredTable
from domain.faults import Conflict, Fault

MANIFEST, SECRETS = "manifest.json", "secrets.env"
_LEVEL = 3
_PIECE = 1 << 18
_BROKEN = (zipfile.BadZipFile, zlib.error, EOFError, KeyError, OSError, ValueError, RuntimeError)
_DRAFT = ".backup-draft"
_FORSAKEN_SECONDS = 60.0

Rows = Callable[[Callable[[bytes], Awaitable[None]]], Awaitable[int]]
"""Sends a table's rows piece by piece to its argument, and returns how many there were."""


class UnwritableBackup(Fault):
    """The disk or the folder does not take the file."""

    code = "unwritable_backup"


class _Disk(io.FileIO):
    """Whose faults are told as those of the file: an OSError beside it is of the database's connection."""

    def __init__(self, draft: Path, path: Path) -> None:
        super().__init__(draft, "r+b")
        self._path = path

    def write(self, data: Any, /) -> int:
        with _writing(self._path):
            return super().write(data)


class NewBackup:
    """A file in the making. `finish` gives it its name."""

    def __init__(self, path: Path, draft: Path, archive: zipfile.ZipFile) -> None:
        self._path, self._draft, self._archive = path, draft, archive

    async def add(self, table: StoredTable, rows: Rows) -> SavedTable:
        """Write one table; what the manifest says of it."""
        digest, size = hashlib.sha256(), 0
        with self._archive.open(_member(table.name), "w", force_zip64=True) as member:

            async def write(piece: bytes) -> None:
                nonlocal size
                digest.update(piece)
                size += len(piece)
                member.write(piece)

            count = await rows(write)
        return SavedTable(table.name, list(table.columns), count, size, digest.hexdigest())

    def add_secrets(self, text: str) -> None:
        """`NAME=value` lines, for whoever restores on another machine."""
        self._archive.writestr(SECRETS, text)

    def finish(self, manifest: Manifest) -> None:
        """Nothing can be added any more; the file is whole, on the disk, and has its name."""
        self._archive.writestr(MANIFEST, to_json(manifest))
        self._archive.close()
        with _writing(self._path):
            with self._draft.open("rb") as file:
                os.fsync(file.fileno())
            self._give_name()
            folder = os.open(self._path.parent, os.O_RDONLY)
            try:
                os.fsync(folder)
            finally:
                os.close(folder)

    def _give_name(self) -> None:
        try:
            # Of two that were begun for one name, the second fails here.
            os.link(self._draft, self._path)
        except FileExistsError:
            raise _taken(self._path) from None
        except OSError:
            # A file system without links.
            if self._path.exists():
                raise _taken(self._path) from None
            self._draft.rename(self._path)


@contextmanager
def new_backup(path: Path) -> Iterator[NewBackup]:
    """A file that is not there yet; without `finish` nothing stays. Raises Conflict, UnwritableBackup."""
    with _writing(path):
        if path.exists():
            raise _taken(path)
        _remove_forsaken(path.parent)
        draft = path.with_name(f".{path.name}.{os.getpid()}{_DRAFT}")
        os.close(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600))
    try:
        with (
            io.BufferedWriter(_Disk(draft, path)) as file,
            zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED, compresslevel=_LEVEL) as archive,
        ):
            with suppress(OSError):
                fcntl.flock(file, fcntl.LOCK_EX)
            yield NewBackup(path, draft, archive)
    finally:
        draft.unlink(missing_ok=True)


@contextmanager
def _writing(path: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise UnwritableBackup(f"{path} cannot be written: {error.strerror or error}.") from None


def _taken(path: Path) -> Conflict:
    return Conflict(f"{path} is there already; a backup never replaces another.")


def _remove_forsaken(folder: Path) -> None:
    """Drafts of backups that were killed: they hold as much as a backup, and nobody holds them."""
    for draft in folder.glob(f".*{_DRAFT}"):
        with suppress(OSError), draft.open("rb") as file:
            if time.time() - os.fstat(file.fileno()).st_mtime > _FORSAKEN_SECONDS:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
                draft.unlink()


class StoredBackup:
    """A backup that can be read. Every reading fails with DamagedBackup where the file is not what was written."""

    def __init__(self, archive: zipfile.ZipFile, manifest: Manifest) -> None:
        self._archive, self.manifest = archive, manifest

    def verify(self) -> None:
        """Read all of it once. Raises DamagedBackup."""
        for table in self.manifest.tables:
            for _ in self._pieces(table):
                pass
        if self.manifest.secrets:
            self.secrets()

    async def rows(self, table: SavedTable) -> AsyncIterator[bytes]:
        """A table's rows as text COPY. Raises DamagedBackup at their end if they are not those of the manifest."""
        for piece in self._pieces(table):
            yield piece

    def secrets(self) -> str:
        """The secrets that were saved; empty if none were."""
        if not self.manifest.secrets:
            return ""
        try:
            return self._archive.read(SECRETS).decode()
        except _BROKEN:
            raise DamagedBackup("The secrets in the backup are damaged.") from None

    def _pieces(self, table: SavedTable) -> Iterator[bytes]:
        digest = hashlib.sha256()
        with self._open(table) as member:
            while piece := _read(member):
                digest.update(piece)
                yield piece
        if digest.hexdigest() != table.sha256:
            raise DamagedBackup(f"The rows of {table.name} are not those that were saved.")

    def _open(self, table: SavedTable) -> IO[bytes]:
        try:
            return self._archive.open(_member(table.name))
        except _BROKEN:
            raise DamagedBackup(f"The backup lacks the rows of {table.name}, or they are damaged.") from None


@contextmanager
def stored_backup(path: Path) -> Iterator[StoredBackup]:
    """Open a backup. Raises DamagedBackup, ForeignBackup, and OSError where it can't be opened."""
    with path.open("rb") as file:
        try:
            archive = zipfile.ZipFile(file)
            manifest = from_json(archive.read(MANIFEST))
        except _BROKEN:
            raise DamagedBackup(f"{path} is no backup, or its end is missing.") from None
        with archive:
            yield StoredBackup(archive, manifest)


def _member(table: str) -> str:
    return f"tables/{table}.copy"


def _read(member: IO[bytes]) -> bytes:
    try:
        return member.read(_PIECE)
    except _BROKEN:
        raise DamagedBackup("A part of the backup cannot be read: the file is damaged.") from None
