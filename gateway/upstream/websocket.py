"""Whether a 101 is the answer to the WebSocket handshake that was sent (RFC 6455 4.1)."""

import base64
import hashlib

from gateway.ends import Headers, UpstreamRequest
from gateway.upstream.answer_head import ParsedHead, tokens

_GUID = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11"


def accept_of(key: bytes) -> bytes:
    """The `Sec-WebSocket-Accept` that proves the upstream read this `Sec-WebSocket-Key`."""
    # SHA-1 is the protocol's choice and proves no secret.
    return base64.b64encode(hashlib.sha1(key + _GUID, usedforsecurity=False).digest())


def why_not_upgraded(request: UpstreamRequest, head: ParsedHead) -> str:
    """What is wrong with this 101, empty if it is the one that was asked for."""
    if request.upgrade != b"websocket":
        return "101 that nobody asked for"
    if head.length is not None or head.chunked:
        return "101 with a body"
    if values_of(head.headers, b"upgrade") != [b"websocket"]:
        return "101 to another protocol"
    if not any(b"upgrade" in tokens(value) for name, value in head.headers if name == b"connection"):
        return "101 without Connection: upgrade"
    keys = [value for name, value in request.headers if name == b"sec-websocket-key"]
    accepts = [value for name, value in head.headers if name == b"sec-websocket-accept"]
    if len(keys) != 1 or accepts != [accept_of(keys[0])]:
        return "101 with a wrong Sec-WebSocket-Accept"
    return ""


def values_of(headers: Headers, name: bytes) -> list[bytes]:
    """All values of one header, in lower case."""
    return [value.lower() for found, value in headers if found == name]
