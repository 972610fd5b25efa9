"""The API key goes no further than this gateway: not to the upstream, not into anybody's log (G7).

Refuses with 400 where it stands anywhere but in its own field, before anything is counted. The body is not looked at.
"""

from typing import TYPE_CHECKING
from urllib.parse import unquote_to_bytes

from domain.refusals import KeyInQuery, MalformedRequest

if TYPE_CHECKING:
    from gateway.ends import ClientRequest
    from gateway.exchange import Exchange

SHORTEST = 12
"""An imported key that is shorter may stand in ordinary text by chance."""


def confine_key(exchange: "Exchange") -> None:
    """Check path, query and every header field."""
    request, key = exchange.request, exchange.key_bytes
    if len(key) < SHORTEST:
        return
    if holds(request.target_path, key):
        raise MalformedRequest("The API key stands in the path.")
    if request.has_query and holds(request.query, key):
        raise KeyInQuery
    for name, value in request.headers:
        if key in value and name != b"x-api-key" and not is_bearer(name, value, key):
            raise MalformedRequest("The API key stands in a header field that is not meant for it.")


def is_bearer(name: bytes, value: bytes, key: bytes) -> bool:
    """Whether this field presents the key as a bearer token."""
    return name == b"authorization" and value[:7].lower() == b"bearer " and value[7:].strip(b" ") == key


def presented(request: "ClientRequest") -> list[bytes]:
    """Whatever the request presents as a key, accepted or not, that is too long to stand elsewhere by chance."""
    found = [value for name, value in request.headers if name == b"x-api-key"]
    found += [value[7:].strip(b" ") for name, value in request.headers if name == b"authorization"]
    return [key for key in found if len(key) >= SHORTEST]


def holds(text: bytes, key: bytes) -> bool:
    """Whether the key stands in `text` as it is or spelled with escapes."""
    return key in spellings(text)


def spellings(text: bytes) -> bytes:
    """Whatever a key is looked for in: a line of a head as it is and, where it has escapes, what they may stand for."""
    return b"%b\n%b" % (text, unquote_to_bytes(text)) if b"%" in text else text
