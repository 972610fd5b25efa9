"""What the database keeps of a key, and how a presented key is compared with it."""

import hashlib
import hmac
from collections.abc import Mapping

HMAC = "hmac"
SHA256 = "sha256"


def digest(presented: bytes, pepper: bytes) -> bytes:
    """HMAC-SHA-256 of a key of ours under `pepper`: 32 bytes."""
    return hmac.digest(pepper, presented, "sha256")


def sha256_digest(presented: bytes) -> bytes:
    """Plain SHA-256 of an imported key: 32 bytes."""
    return hashlib.sha256(presented).digest()


def verify_row(
    presented: bytes, scheme: str, stored: bytes, pepper_version: int | None, peppers: Mapping[int, bytes]
) -> bool:
    """Whether `presented` is the key of a row (its scheme, digest, pepper_version), in constant time.

    A row whose pepper is gone, or whose scheme is unknown, matches nothing.
    """
    if scheme == SHA256:
        return hmac.compare_digest(sha256_digest(presented), stored)
    pepper = peppers.get(pepper_version) if pepper_version is not None else None
    if scheme != HMAC or pepper is None:
        return False
    return hmac.compare_digest(digest(presented, pepper), stored)
