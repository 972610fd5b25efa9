"""Rows of an older installation as they stand there: every value is a text or None, whatever type its column has."""

import hashlib
from dataclasses import dataclass, field

PLAN_COLUMNS = ("plan_id", "name", "hourly_limit", "daily_limit")
CLIENT_COLUMNS = ("client_id", "name", "email", "status", "created_at")
KEY_COLUMNS = ("key_id", "client_id", "plan_id", "key_hash", "key_prefix", "expires_at", "status")
PARTS = 4
"""Bytes of a fingerprint for each column."""


@dataclass(frozen=True, slots=True)
class OldPlan:
    """A plan; limits are requests in an hour and in a day, for each key."""

    fingerprint: bytes
    id: str | None
    name: str | None
    hourly: str | None
    daily: str | None


@dataclass(frozen=True, slots=True)
class OldClient:
    """A customer. Times are ISO 8601; one without a zone is meant in UTC."""

    fingerprint: bytes
    id: str | None
    name: str | None
    email: str | None
    status: str | None
    created_at: str | None


@dataclass(frozen=True, slots=True, repr=False)
class OldKey:
    """An API key, known by the SHA-256 of its text in hexadecimal digits."""

    fingerprint: bytes
    id: str | None
    client_id: str | None
    plan_id: str | None
    hash: str | None
    prefix: str | None
    expires_at: str | None
    status: str | None


@dataclass(slots=True)
class Group:
    """A client with all its keys; without a client, keys of which the client is missing."""

    client: OldClient | None
    keys: list[OldKey] = field(default_factory=list)


def fingerprint(values: tuple[str | None, ...]) -> bytes:
    """What tells whether a row has changed since, a column at a time."""
    texts = (b"" if value is None else b"=" + value.encode("utf-8", "surrogatepass") for value in values)
    return b"".join(hashlib.sha256(text).digest()[:PARTS] for text in texts)


def changed_columns(columns: tuple[str, ...], before: bytes, after: bytes) -> list[str]:
    """Names of the columns whose values are others now."""
    parts = ((name, place * PARTS) for place, name in enumerate(columns))
    return [name for name, begin in parts if before[begin : begin + PARTS] != after[begin : begin + PARTS]]
