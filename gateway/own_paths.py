"""Which paths the gateway answers itself, before any service's prefix is looked at."""

from urllib.parse import unquote_to_bytes

OWN_PATHS = (b"/health", b"/ready", b"/user/", b"/errors/", b"/callbacks/")


def is_own(path: bytes) -> bool:
    """Whether a raw path, without its query, begins like one of them."""
    return (unquote_to_bytes(path) if b"%" in path else path).startswith(OWN_PATHS)
