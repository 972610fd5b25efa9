"""Secrets that must be read again: AES-256-GCM under a versioned key that is not in the database (case A14).

A sealed value is `version (2 bytes) | nonce (12) | ciphertext and tag`. The purpose and the owner go in as associated
data, so a value that is moved to another row does not open.
"""

import hashlib
import hmac
import os

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from domain.faults import Fault
from domain.portal_settings import SecretSettings

_NONCE = 12


class Unreadable(Fault):
    """A sealed value does not open: another key, another row, or damaged."""

    code = "unreadable"


def seal(settings: SecretSettings, plaintext: bytes, *, purpose: str, owner: str) -> bytes:
    """`plaintext` sealed under the newest key, for this purpose and owner only."""
    keys = settings.key_by_version
    version = max(keys)
    nonce = os.urandom(_NONCE)
    sealed = AESGCM(_derived(keys[version], purpose)).encrypt(nonce, plaintext, _context(purpose, owner))
    return version.to_bytes(2, "big") + nonce + sealed


def unseal(settings: SecretSettings, sealed: bytes, *, purpose: str, owner: str) -> bytes:
    """What was sealed for this purpose and owner. Raises Unreadable."""
    version = int.from_bytes(sealed[:2], "big")
    key = settings.key_by_version.get(version)
    if key is None:
        raise Unreadable(f"A stored secret needs version {version} of SECRET_KEYS, which is not set.")
    nonce, body = sealed[2 : 2 + _NONCE], sealed[2 + _NONCE :]
    try:
        return AESGCM(_derived(key, purpose)).decrypt(nonce, body, _context(purpose, owner))
    except (InvalidTag, ValueError):
        raise Unreadable("A stored secret cannot be opened with SECRET_KEYS.") from None


def mac(settings: SecretSettings, purpose: str, text: str) -> str:
    """HMAC-SHA-256 of `text` for one purpose, in hex, under the newest key."""
    keys = settings.key_by_version
    return _mac(keys[max(keys)], purpose, text)


def macs(settings: SecretSettings, purpose: str, text: str) -> list[str]:
    """The same under each of the keys, the newest first; none where there are none."""
    keys = settings.key_by_version if settings.keys.get_secret_value() else {}
    return [_mac(keys[version], purpose, text) for version in sorted(keys, reverse=True)]


def mac_matches(settings: SecretSettings, purpose: str, text: str, given: str) -> bool:
    """Whether `given` is the HMAC of `text` under any of the keys, found in constant time."""
    presented = given.encode("utf-8", "replace")
    known = settings.key_by_version.values()
    return any(hmac.compare_digest(_mac(key, purpose, text).encode(), presented) for key in known)


def _mac(key: bytes, purpose: str, text: str) -> str:
    return hmac.new(_derived(key, purpose), text.encode(), hashlib.sha256).hexdigest()


def _derived(key: bytes, purpose: str) -> bytes:
    return hmac.new(key, b"paid-endpoint/" + purpose.encode(), hashlib.sha256).digest()


def _context(purpose: str, owner: str) -> bytes:
    return f"{purpose}\x00{owner}".encode()
