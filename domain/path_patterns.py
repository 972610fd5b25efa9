"""Path patterns of operations: `/items`, `/items/{id}`, `/files/*`.

A pattern is compared segment by segment with the canonical path behind the service's prefix. A segment is a literal,
`{name}` (exactly one segment that is not empty), or, only as the last, `*` (the whole rest).
"""

import re

from domain.faults import InvalidValue

PARAMETER = re.compile(r"\{[A-Za-z_][A-Za-z0-9_]{0,63}\}")
LITERAL = re.compile(r"([A-Za-z0-9._~!$&'()+,;=:@-]|%[0-9A-F]{2})*")
ESCAPE = re.compile(r"%([0-9A-F]{2})")
UNRESERVED = frozenset(b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-._~")
REFUSED = frozenset(b"/\\") | frozenset(range(32)) | {127}
LONGEST_PATTERN = 1024


def valid_pattern(text: str) -> str:
    """`text` if it is a path pattern that canonical paths can match. Raises InvalidValue."""
    shown = f"'{text[:80]}'"
    if not text.startswith("/") or len(text) > LONGEST_PATTERN:
        raise InvalidValue(f"{shown} is no path pattern: it begins with a slash, such as /items/{{id}}.")
    segments = text[1:].split("/")
    for place, segment in enumerate(segments):
        last = place == len(segments) - 1
        if segment == "*" and last:
            continue
        if not segment and not last:
            raise InvalidValue(f"{shown}: a path pattern has no empty segments.")
        if not PARAMETER.fullmatch(segment):
            _check_literal(segment, shown)
    parameters = [segment for segment in segments if segment.startswith("{")]
    if len(set(parameters)) < len(parameters):
        raise InvalidValue(f"{shown}: two parameters have the same name.")
    return text


def pattern_shape(pattern: str) -> str:
    """The pattern without the names of its parameters: two patterns of one shape match the same paths."""
    return re.sub(r"\{[^}]*\}", "{}", pattern)


def path_parameters(pattern: str) -> dict[str, int]:
    """The names of a pattern's parameters, and the place of each among its segments, from 0."""
    segments = pattern[1:].split("/")
    return {segment[1:-1]: place for place, segment in enumerate(segments) if PARAMETER.fullmatch(segment)}


def _check_literal(segment: str, shown: str) -> None:
    if "*" in segment:
        raise InvalidValue(f"{shown}: `*` stands alone, as the last segment.")
    if not LITERAL.fullmatch(segment):
        raise InvalidValue(f"{shown}: '{segment[:40]}' holds characters that a path must encode as %XX (upper-case).")
    if segment.split(";", maxsplit=1)[0] in (".", ".."):
        raise InvalidValue(f"{shown}: a path pattern has no dot segments.")
    for found in ESCAPE.finditer(segment):
        byte = int(found[1], 16)
        if byte in UNRESERVED or byte in REFUSED:
            raise InvalidValue(f"{shown}: {found[0]} never occurs in a canonical path.")
