"""The Idempotency-Key field (draft-ietf-httpapi-idempotency-key): a Structured Field string, or bare as most clients send it."""

from domain.refusals import InvalidIdempotencyKey
from gateway.ends import Headers

FIELD = b"idempotency-key"
MOST = 255
_VISIBLE = frozenset(range(0x21, 0x7F))
_QUOTE, _BACKSLASH = b'"\\'
_NOT_BARE = frozenset(b'",')


def idempotency_key(headers: Headers) -> str | None:
    """The key without its quotes, None where there is no such field. Raises InvalidIdempotencyKey."""
    given = [value for name, value in headers if name == FIELD]
    if not given:
        return None
    if len(given) > 1:
        raise InvalidIdempotencyKey
    text = given[0].strip(b" \t")
    key = _unquoted(text) if text[:1] == b'"' else text if _NOT_BARE.isdisjoint(text) else b""
    if not 1 <= len(key) <= MOST or not _VISIBLE.issuperset(key):
        raise InvalidIdempotencyKey
    return key.decode("ascii")


def _unquoted(text: bytes) -> bytes:
    """What a Structured Field string says (RFC 9651 4.2.5), empty if it is none; a field with parameters is none."""
    said = bytearray()
    place = 1
    while place < len(text):
        character = text[place]
        if character == _QUOTE:
            return bytes(said) if place == len(text) - 1 else b""
        if character == _BACKSLASH:
            place += 1
            if text[place : place + 1] not in {b'"', b"\\"}:
                return b""
            character = text[place]
        said.append(character)
        place += 1
    return b""
