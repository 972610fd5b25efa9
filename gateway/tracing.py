"""W3C Trace Context: a valid `traceparent` is continued, anything else begins a new trace.

A new trace has the request's id as its own (the random part of a version 7 UUID stands on the right, as it should), so
that the one is found by the other; our span is the random half of it.
"""

_HEX = frozenset(b"0123456789abcdef")


def continued(traceparent: bytes | None, request_id: bytes) -> tuple[bytes, bytes, bool]:
    """The `traceparent` for the upstream, its trace id, and whether the caller's trace (and `tracestate`) goes on.

    `request_id` are the 16 bytes of a version 7 UUID.
    """
    fresh = request_id.hex().encode()
    if traceparent is not None and is_valid(traceparent):
        trace = traceparent[3:35]
        return b"00-%b-%b-%b" % (trace, fresh[16:], traceparent[53:55]), trace, True
    return b"00-%b-%b-00" % (fresh, fresh[16:]), fresh, False


def is_valid(value: bytes) -> bool:
    """Version 00 form: `00-<32 hex>-<16 hex>-<2 hex>`, ids not all zero (later versions may be longer)."""
    if len(value) < 55 or value[2:3] != b"-" or value[35:36] != b"-" or value[52:53] != b"-":
        return False
    version, trace, parent, flags = value[:2], value[3:35], value[36:52], value[53:55]
    if version == b"ff" or (version == b"00" and len(value) != 55) or (len(value) > 55 and value[55:56] != b"-"):
        return False
    if not _HEX.issuperset(version + trace + parent + flags):
        return False
    return trace.strip(b"0") != b"" and parent.strip(b"0") != b""
