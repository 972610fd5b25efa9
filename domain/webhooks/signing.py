"""Signatures by the Standard Webhooks specification: HMAC-SHA-256 over `id.timestamp.body`."""

import base64
import hashlib
import hmac
import secrets
from collections.abc import Sequence
from uuid import UUID

PREFIX = "whsec_"
SECRET_BYTES = 32
MOST_SIGNATURES = 10
"""So many of a message are looked at."""


def new_secret() -> bytes:
    """A new signing secret: 32 random bytes."""
    return secrets.token_bytes(SECRET_BYTES)


def secret_text(secret: bytes) -> str:
    """The secret as customers get it."""
    return PREFIX + base64.b64encode(secret).decode()


def signature(secret: bytes, event_id: UUID | str, timestamp: int, body: bytes) -> str:
    """`v1,` and the signature in base64."""
    signed = f"{event_id}.{timestamp}.".encode() + body
    return "v1," + base64.b64encode(hmac.new(secret, signed, hashlib.sha256).digest()).decode()


def signed_headers(secrets_: Sequence[bytes], event_id: UUID, timestamp: int, body: bytes) -> dict[str, str]:
    """The three headers of an attempt at `timestamp` (Unix seconds), signed with each secret."""
    return {
        "webhook-id": str(event_id),
        "webhook-timestamp": str(timestamp),
        "webhook-signature": " ".join(signature(secret, event_id, timestamp, body) for secret in secrets_),
    }


def is_signed(secrets_: Sequence[bytes], event_id: str, timestamp: int, body: bytes, given: str) -> bool:
    """Whether one of the signatures in `given`, separated by blanks, is that of one of the secrets. In constant time."""
    wanted = [signature(secret, event_id, timestamp, body).encode() for secret in secrets_]
    presented = [text.encode("utf-8", "replace") for text in given.split()[:MOST_SIGNATURES]]
    found = [hmac.compare_digest(one, other) for one in wanted for other in presented]
    return any(found)
