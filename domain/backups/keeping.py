"""How backups in a folder are called, and how long they are kept there."""

from datetime import UTC, datetime
from pathlib import Path

from domain.backups.archive import UnwritableBackup

NAME = "paid-endpoint-%Y%m%dT%H%M%SZ.zip"
"""By the moment at which one is begun, in UTC."""


def delete_older(folder: Path, moment: datetime) -> list[Path]:
    """Delete backups whose names are of a time before that; which. Files of other names stay, and what lies deeper.

    The name counts, not the file's own time: a backup that was copied is no younger. Raises UnwritableBackup.
    """
    named = (file for file in folder.iterdir() if (begun := _begun(file)) is not None and begun < moment)
    old = sorted(file for file in named if file.is_file())
    for file in old:
        try:
            file.unlink(missing_ok=True)
        except OSError as error:
            raise UnwritableBackup(f"{file} cannot be deleted: {error.strerror or error}.") from None
    return old


def _begun(file: Path) -> datetime | None:
    try:
        return datetime.strptime(file.name, NAME).replace(tzinfo=UTC)
    except ValueError:
        return None
