"""Stands in for domain.keys until that lands; removed then."""

import hmac
import zlib
from dataclasses import dataclass

_DIGITS = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"


@dataclass(frozen=True, slots=True)
class ParsedKey:
    environment: str
    public_id: str


def parse(presented: bytes) -> ParsedKey | None:
    if len(presented) != 57 or presented[:8] not in (b"pe_live_", b"pe_test_") or presented[18:19] != b"_":
        return None
    return ParsedKey(presented[3:7].decode(), presented[8:18].decode())


def crc(body: bytes) -> bytes:
    value, digits = zlib.crc32(body), ""
    for _ in range(6):
        value, digit = divmod(value, 62)
        digits = _DIGITS[digit] + digits
    return digits.encode()


def crc_ok(presented: bytes) -> bool:
    return crc(presented[:-6]) == presented[-6:]


def digest(presented: bytes, pepper: bytes) -> bytes:
    return hmac.digest(pepper, presented, "sha256")
