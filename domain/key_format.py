"""The form of our API keys: `pe_live_<10 base62 id>_<32 base62 secret><6 base62 CRC-32>`, `pe_test_...` likewise.

The checksum covers everything before it, so that a mistyped or invented key is refused without any look-up.
"""

import re
import secrets
import zlib
from dataclasses import dataclass

ALPHABET = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
ENVIRONMENTS = ("live", "test")

ID_LENGTH = 10
SECRET_LENGTH = 32
CHECKSUM_LENGTH = 6
KEY_LENGTH = len("pe_live_") + ID_LENGTH + 1 + SECRET_LENGTH + CHECKSUM_LENGTH

KEY_PATTERN = re.compile(rb"pe_(live|test)_([0-9A-Za-z]{10})_[0-9A-Za-z]{38}")
"""Published for secret scanners; a match still needs a right checksum."""


@dataclass(frozen=True, slots=True)
class ParsedKey:
    """The parts of a key that are no secret."""

    environment: str
    public_id: str


@dataclass(frozen=True, slots=True, repr=False)
class MintedKey:
    """A new key. `plaintext` is shown once; `prefix` and `last4` are kept for display."""

    plaintext: str
    environment: str
    public_id: str

    @property
    def prefix(self) -> str:
        """What the key begins with, without its secret."""
        return f"pe_{self.environment}_{self.public_id}"

    @property
    def last4(self) -> str:
        """The last four characters: checksum, not secret."""
        return self.plaintext[-4:]

    def __repr__(self) -> str:
        return f"MintedKey({self.prefix}...)"


def mint(environment: str) -> MintedKey:
    """A new key for `live` or `test`, from the system's source of randomness (190 bits of secret)."""
    if environment not in ENVIRONMENTS:
        raise ValueError("environment is live or test")
    public_id = random_text(ID_LENGTH)
    body = f"pe_{environment}_{public_id}_{random_text(SECRET_LENGTH)}"
    return MintedKey(body + checksum(body.encode()), environment, public_id)


def random_text(length: int) -> str:
    """Base62 characters, each equally likely."""
    return "".join(secrets.choice(ALPHABET) for _ in range(length))


def checksum(body: bytes) -> str:
    """CRC-32 of `body` as six base62 digits, most significant first."""
    value, digits = zlib.crc32(body), ""
    for _ in range(CHECKSUM_LENGTH):
        value, digit = divmod(value, 62)
        digits = ALPHABET[digit] + digits
    return digits


def parse(presented: bytes) -> ParsedKey | None:
    """The public parts of a key in our format; None for any other text. Says nothing about the checksum."""
    if len(presented) != KEY_LENGTH or not (found := KEY_PATTERN.fullmatch(presented)):
        return None
    return ParsedKey(environment=found[1].decode(), public_id=found[2].decode())


def holds_key(text: str) -> bool:
    """Whether something in our format stands in a text, whatever its checksum."""
    return KEY_PATTERN.search(text.encode("utf-8", "replace")) is not None


def crc_ok(presented: bytes) -> bool:
    """Whether this is a key in our format with a right checksum: False can never be a key of ours."""
    if parse(presented) is None:
        return False
    return checksum(presented[:-CHECKSUM_LENGTH]).encode() == presented[-CHECKSUM_LENGTH:]
