"""What the hashes of the audit's chain are made of. docs/audit.md describes it for others: a change here breaks every chain.

Everything is hashed as the text that PostgreSQL writes, so that whatever can be stored can be checked, and no value is
read, rounded and written again in between.
"""

from collections.abc import Mapping, Sequence
from hashlib import sha256

GENESIS = bytes(32)
"""What the first link takes for the hash before it."""

_MARK = b"paid-endpoint audit 1\n"

COLUMNS: Mapping[str, str] = {
    "id": "e.id::text",
    "created_at": "extract(epoch from e.created_at)::text",
    "organization_id": "e.organization_id::text",
    "actor_kind": "e.actor_kind",
    "actor_id": "e.actor_id::text",
    "actor_name": "e.actor_name",
    "verb": "e.verb",
    "object_type": "e.object_type",
    "object_id": "e.object_id",
    "object_name": "e.object_name",
    "before": "e.before::text",
    "after": "e.after::text",
    "reason": "e.reason",
    "address": "e.address",
    "request_id": "e.request_id",
}
"""Every column of an entry, in the order in which they are hashed, and its text. A further column goes to the end."""

TEXTS = f"array[{', '.join(COLUMNS.values())}]"
"""The texts of an entry `e`, for a select list."""

DAY = "coalesce(to_char({}.day, 'YYYY-MM-DD'), 'never') as day"
"""The text of a link's or a seal's day, for a select list; of one that is infinite too."""

_NAMES = [name.encode() for name in COLUMNS]


def content_of(texts: Sequence[str | None]) -> bytes:
    """SHA-256 of an entry: of each column that is not null its name, the length of its text in bytes, and the text.

    A column that is added one day and null in older entries leaves their hashes as they are.
    """
    digest = sha256()
    for name, text in zip(_NAMES, texts, strict=True):
        if text is not None:
            value = text.encode()
            digest.update(b"%b %d\n%b\n" % (name, len(value), value))
    return digest.digest()


def link_hash(before: bytes, position: int, day: str, sealed_at: str, content: bytes) -> bytes:
    """The hash of a link: of the one before it, its place, its day (2026-11-27), when it was sealed, and its entry.

    `sealed_at` is in seconds since 1970 with six decimals.
    """
    return sha256(b"%b%b%d %b %b\n%b" % (_MARK, before, position, day.encode(), sealed_at.encode(), content)).digest()
