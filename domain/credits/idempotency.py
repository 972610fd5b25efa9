"""One key moves credits once: the same request again is told what it did, another one under that key is refused."""

import hashlib
import json
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

from domain.credits.entries import ENTRY_COLUMNS, LedgerEntry, entry_from
from domain.faults import Conflict, InvalidValue

LONGEST_KEY = 255

_EARLIER = f"""
select {ENTRY_COLUMNS}, e.fingerprint from credit_entry e where e.organization_id = $1 and e.idempotency_key = $2
"""


class KeyReused(Conflict):
    """The idempotency key belongs to another request of this organization."""

    code = "idempotency_key_reused"


def valid_idempotency_key(key: str | None) -> str | None:
    """The key, if it is one. Raises InvalidValue."""
    if key is not None and not (1 <= len(key) <= LONGEST_KEY and key.isprintable()):
        raise InvalidValue(f"An idempotency key has 1 to {LONGEST_KEY} printable characters.")
    return key


def fingerprint(asked: Mapping[str, Any]) -> bytes:
    """SHA-256 of what was asked for, in one form: names in order, times in UTC, spans in microseconds."""
    return hashlib.sha256(
        json.dumps(asked, sort_keys=True, separators=(",", ":"), ensure_ascii=True, default=_canonical).encode()
    ).digest()


async def find_earlier(connection: Any, organization_id: UUID, key: str, asked: bytes) -> LedgerEntry | None:
    """What was posted under this key, None if nothing was; the caller holds the account's lock, so it stays so.

    Raises KeyReused if something else was asked for under it.
    """
    row = await connection.fetchrow(_EARLIER, organization_id, key)
    if row is None:
        return None
    found = dict(row)
    if found.pop("fingerprint") != asked:
        raise KeyReused(f"The idempotency key '{key}' was used for another change of credits (entry {row['id']}).")
    return entry_from(found)


def _canonical(value: Any) -> str | int:
    if isinstance(value, datetime):
        return value.astimezone(UTC).isoformat(timespec="microseconds")
    if isinstance(value, timedelta):
        return value // timedelta(microseconds=1)
    if isinstance(value, UUID):
        return str(value)
    raise TypeError(f"{type(value).__name__} has no canonical form")
