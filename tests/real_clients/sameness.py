"""When an answer through the gateway is the same as without it, and every difference that is allowed, by name."""

import gzip
import json
import re
import zlib
from typing import Any

import brotli

from loadtests.raw_client import Answer

ADDED_BY_US = re.compile(r"^(ratelimit(-policy)?|x-ratelimit-(limit|remaining|reset)|x-request-id)$")
"""Response headers that the gateway promises to add."""

PER_HOP = {"connection", "keep-alive"}
"""They speak of one connection only."""

FRAMING = {"content-length", "transfer-encoding"}
"""They keep their values but not their place: whoever frames the body writes them, and the order of fields of different
names means nothing (RFC 9110 section 5.3). All others keep theirs.
"""

ADDED_TO_REQUEST = re.compile(
    r"^(via|forwarded|traceparent|x-request-id|x-forwarded-(for|proto|host)|x-pe-.+)$", re.IGNORECASE
)
"""Request headers that the gateway promises to add; an upstream that echoes its request shows them."""

MADE_PER_ANSWER: dict[str, tuple[str, ...]] = {
    "": ("date",),
    "/cache": ("last-modified", "etag"),
    "/digest-auth/": ("www-authenticate", "set-cookie"),
}
"""Headers whose value httpbin makes anew for every answer, by the beginning of the path."""

ECHOING = re.compile(
    r"^/(anything|cache|delay/|delete|deflate|brotli|etag/|gzip|get|headers|patch|post|put|stream/|cookies$)"
)
"""Endpoints whose body repeats the request's headers, and is therefore longer by those that we add."""

RANDOM = re.compile(r"^/uuid")
"""Endpoints whose body is another one each time."""

DECODERS = {"gzip": gzip.decompress, "deflate": zlib.decompress, "br": brotli.decompress, None: bytes}


def compare(path: str, directly: Answer, through: Answer) -> list[str]:
    """Every difference that is not allowed, in words; empty if the answers are the same."""
    found = [] if directly.status == through.status else [f"status {directly.status} became {through.status}"]
    theirs, ours = comparable(path, directly), comparable(path, through)
    if theirs != ours:
        found.append(
            f"headers lost or changed {[h for h in theirs if h not in ours]}, new {[h for h in ours if h not in theirs]}"
        )
        if sorted(theirs) == sorted(ours):
            found.append("headers in another order")
    if RANDOM.match(path):
        return found if len(directly.body) == len(through.body) else [*found, "length of the body"]
    if ECHOING.match(path):
        if echoed(directly) != echoed(through):
            found.append(f"echo {echoed(directly)!r:.600} became {echoed(through)!r:.600}")
    elif directly.body != through.body:
        found.append(f"body of {len(directly.body)} bytes became {len(through.body)} others")
    return found


def comparable(path: str, answer: Answer) -> list[tuple[str, str]]:
    """The answer's headers in order, without what may differ; a value that is made per answer is left out."""
    free = {name for start, names in MADE_PER_ANSWER.items() if path.startswith(start) for name in names}
    if ECHOING.match(path):
        free.add("content-length")
    lowered = [(name.lower(), value) for name, value in answer.headers]
    kept = [
        (name, "" if name in free else value)
        for name, value in lowered
        if name not in PER_HOP and not ADDED_BY_US.match(name)
    ]
    return sorted(kept, key=lambda field: (field[0] in FRAMING, field[0] if field[0] in FRAMING else ""))


def echoed(answer: Answer) -> Any:
    """The documents of an echoing answer, without the headers that we add to every request."""
    if not answer.body:
        return None
    plain = DECODERS[answer.header("content-encoding")](answer.body)
    if not (answer.header("content-type") or "").startswith("application/json"):
        return plain
    documents = [json.loads(plain)] if plain.startswith(b"{\n") else [json.loads(line) for line in plain.splitlines()]
    for document in documents:
        headers = document.get("headers", {})
        document["headers"] = {name: value for name, value in headers.items() if not ADDED_TO_REQUEST.match(name)}
    return documents
