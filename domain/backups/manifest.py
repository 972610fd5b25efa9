"""What a backup says of itself: written last, read first."""

import dataclasses
import hashlib
import hmac
import json
from dataclasses import dataclass
from typing import Any

from domain.faults import Fault

FORMAT = 1
_FINGERPRINT = b"paid-endpoint/backup/fingerprint"


class DamagedBackup(Fault):
    """The file is no backup of ours, or not whole."""

    code = "damaged_backup"


class ForeignBackup(Fault):
    """The backup is whole, but not for this version, this database or these secrets."""

    code = "foreign_backup"


@dataclass(frozen=True, slots=True)
class SavedTable:
    """One table's part: its rows as text COPY, `size` in bytes before compression, `sha256` of these in hex."""

    name: str
    columns: list[str]
    rows: int
    size: int
    sha256: str


@dataclass(frozen=True, slots=True)
class Manifest:
    """`made_at` is ISO 8601. `migrations` are all that the database had. `logs` is whether the request logs are whole.

    `peppers` and `secret_keys` are fingerprints by version, from which no secret can be told; `secrets` is whether the
    secrets themselves are in the file.
    """

    made_at: str
    server: str
    migrations: list[str]
    logs: bool
    secrets: bool
    peppers: dict[str, str]
    secret_keys: dict[str, str]
    tables: list[SavedTable]
    sequences: dict[str, tuple[int, bool]]
    format: int = FORMAT

    @property
    def version(self) -> str:
        """The newest migration that the database had: what decides whether this code can take it."""
        return max(self.migrations, default="none")

    @property
    def rows(self) -> int:
        """Of all tables."""
        return sum(table.rows for table in self.tables)


def fingerprints(secrets: dict[int, bytes]) -> dict[str, str]:
    """What tells one secret from another and nothing else: secrets are random, of 32 bytes at least."""
    return {
        str(version): hmac.new(key, _FINGERPRINT, hashlib.sha256).hexdigest()[:16] for version, key in secrets.items()
    }


def to_json(manifest: Manifest) -> bytes:
    """As it stands in the file."""
    return json.dumps(dataclasses.asdict(manifest), indent=1).encode()


def from_json(text: bytes) -> Manifest:
    """Read it back. Raises DamagedBackup, and ForeignBackup for another format."""
    try:
        data: dict[str, Any] = json.loads(text)
        if data["format"] != FORMAT:
            raise ForeignBackup(f"The backup has format {data['format']}; this version reads {FORMAT}.")
        data["tables"] = [SavedTable(**table) for table in data["tables"]]
        data["sequences"] = {name: (int(last), bool(called)) for name, (last, called) in data["sequences"].items()}
        return Manifest(**data)
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError):
        raise DamagedBackup("The backup's manifest cannot be read.") from None
