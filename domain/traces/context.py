"""Which `traceparent` is one, by W3C Trace Context."""

_HEX = frozenset(b"0123456789abcdef")


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
