"""Tokens that open something: 256 random bits, of which only the SHA-256 is stored."""

import hashlib
import secrets
from dataclasses import dataclass

TOKEN_BYTES = 32
LONGEST = 200


@dataclass(frozen=True, slots=True, repr=False)
class NewToken:
    """A token's text, to be given away once, and its digest, to be stored."""

    text: str
    digest: bytes

    def __repr__(self) -> str:
        return "NewToken(...)"


def new_token(prefix: str = "") -> NewToken:
    """A new token of URL-safe characters that begins with `prefix`."""
    text = prefix + secrets.token_urlsafe(TOKEN_BYTES)
    return NewToken(text, digest_of(text))


def digest_of(text: str) -> bytes:
    """SHA-256 of what somebody presented; of anything longer than a token ever is, a digest that fits none."""
    return hashlib.sha256(text[:LONGEST].encode("utf-8", "replace")).digest()
