"""Route prefixes: where on the gateway a service lives."""

import re

from domain.faults import InvalidValue

PREFIX_PATTERN = re.compile(r"(/[A-Za-z0-9._~-]+)+")
LONGEST_PREFIX = 255

RESERVED = ("/health", "/ready", "/metrics", "/user", "/api", "/errors", "/callbacks")
"""The gateway's own paths; whatever lies below them is its own too."""


def valid_prefix(text: str) -> str:
    """A prefix such as `/weather/v1`, without a slash at the end. Raises InvalidValue."""
    prefix = text.rstrip("/")
    if not PREFIX_PATTERN.fullmatch(prefix) or len(prefix) > LONGEST_PREFIX:
        raise InvalidValue(f"'{text[:80]}' is no prefix: write /name or /name/v1 with letters, digits and . _ ~ -.")
    segments = prefix[1:].split("/")
    if {".", ".."} & set(segments):
        raise InvalidValue(f"'{text[:80]}': a prefix has no dot segments.")
    if f"/{segments[0]}" in RESERVED:
        raise InvalidValue(f"'{text[:80]}': the gateway keeps {', '.join(RESERVED)} for itself.")
    return prefix
