"""One request to our own gateway for somebody who tries an operation: bounded in time and size, and only to there.

The key goes into the request and nowhere else: it is not kept, not logged, and taken out of whatever comes back.
"""

import asyncio
import logging
import re
import time
from collections.abc import Mapping
from dataclasses import dataclass
from urllib.parse import quote, urlsplit
from uuid import uuid4

import httpx2

from domain.faults import InvalidValue
from domain.service_catalog import CatalogOperation, CatalogService

SECONDS = 10.0
LARGEST_SHOWN = 262_144
LARGEST_BODY = 65_536
LONGEST_TEXT = 2_000
METHODS = ("GET", "POST", "PUT", "PATCH", "DELETE", "HEAD", "OPTIONS")
BODILESS = frozenset({"GET", "HEAD", "OPTIONS"})
_TEXTUAL = re.compile(r"text/|application/(json|xml|javascript|x-ndjson|[a-z0-9.+-]*\+(json|xml))", re.IGNORECASE)
_CONTENT_TYPE = re.compile(r"[!-~]+/[!-~]+(; ?[!-~]+)*")
_QUERY_SAFE = "%=&+,:;@/?!$'()*~"

# At DEBUG these libraries log fields of answers, which may echo the key.
for _name in ("httpx2", "httpcore2"):
    logging.getLogger(_name).setLevel(logging.WARNING)


@dataclass(frozen=True, slots=True, repr=False)
class Call:
    """What is sent; `target` is the path and query behind the gateway's base URL."""

    method: str
    target: str
    body: bytes
    content_type: str
    repeats: bool
    """Whether an Idempotency-Key goes with it."""


@dataclass(frozen=True, slots=True)
class CallOutcome:
    """What came back, as text to show. `fault` says why nothing did; `cut` that the body was longer than what is shown."""

    status: int = 0
    reason: str = ""
    headers: tuple[tuple[str, str], ...] = ()
    text: str = ""
    size: int = 0
    cut: bool = False
    micros: int = 0
    credits: str = ""
    request_id: str = ""
    fault: str = ""


def call_of(
    service: CatalogService, operation: CatalogOperation, fields: Mapping[str, str], values: Mapping[str, str]
) -> Call:
    """A request of what was written: `values` of the path's parameters, `fields` method, query, body, content_type.

    Raises InvalidValue.
    """
    method = fields.get("method", "") if operation.method == "*" else operation.method
    if method not in METHODS:
        raise InvalidValue("Choose a method.")
    target = service.route_prefix + filled_path(operation.path_pattern, values)
    query = fields.get("query", "").strip().lstrip("?")
    if len(query) > LONGEST_TEXT:
        raise InvalidValue(f"The query has at most {LONGEST_TEXT} characters here.")
    if query:
        target += "?" + quote(query, safe=_QUERY_SAFE)
    body = b"" if method in BODILESS else fields.get("body", "").replace("\r\n", "\n").encode("utf-8", "replace")
    if len(body) > LARGEST_BODY:
        raise InvalidValue(f"The body has at most {LARGEST_BODY} bytes here.")
    content_type = fields.get("content_type", "").strip() or "application/json"
    if len(content_type) > 200 or not _CONTENT_TYPE.fullmatch(content_type):
        raise InvalidValue("The content type looks like application/json.")
    return Call(method, target, body, content_type, operation.replays and method not in BODILESS)


def filled_path(pattern: str, values: Mapping[str, str]) -> str:
    """A path of the pattern, each value escaped so that it stays in its segment. Raises InvalidValue."""
    segments = []
    for segment in pattern.split("/"):
        if segment == "*":
            segments += [_segment("*", part) for part in values.get("*", "").strip("/").split("/")]
        elif segment.startswith("{"):
            segments.append(_segment(segment[1:-1], values.get(segment[1:-1], "")))
        else:
            segments.append(segment)
    return "/".join(segments)


def _segment(name: str, value: str) -> str:
    what = "the rest of the path" if name == "*" else name
    if not value.strip() or value.strip() in {".", ".."} or len(value) > LONGEST_TEXT:
        raise InvalidValue(f"Give a value for {what}.")
    if not value.isprintable() or "/" in value or "\\" in value:
        raise InvalidValue(f"The value of {what} has characters that cannot stand in a path.")
    return quote(value, safe="!$&'()*+,;=:@~")


async def send(base_url: str, call: Call, key: bytes) -> CallOutcome:
    """Send it and read what comes back, at most LARGEST_SHOWN bytes, for at most SECONDS. Never follows a redirect."""
    began = time.perf_counter()
    try:
        async with asyncio.timeout(SECONDS):
            return await _sent(base_url, call, key, began)
    except TimeoutError:
        return CallOutcome(fault=f"The answer took longer than {SECONDS:g} s, so this page stopped waiting.")
    except (httpx2.HTTPError, httpx2.InvalidURL):
        return CallOutcome(fault="The gateway could not be reached from here. Try the curl line, or again soon.")


async def _sent(base_url: str, call: Call, key: bytes, began: float) -> CallOutcome:
    url = httpx2.URL(base_url + call.target)
    base = urlsplit(base_url)
    if (url.scheme, url.host) != (base.scheme, base.hostname):
        raise InvalidValue("This path does not lead to the gateway.")
    fields = {"x-api-key": key.decode("ascii"), "accept": "*/*", "accept-encoding": "identity"}
    if call.body:
        fields["content-type"] = call.content_type
    if call.repeats:
        fields["idempotency-key"] = str(uuid4())
    async with (
        httpx2.AsyncClient(trust_env=False, follow_redirects=False, timeout=SECONDS) as client,
        client.stream(call.method, url, headers=fields, content=call.body or None) as answer,
    ):
        content, size, cut = bytearray(), 0, False
        async for part in answer.aiter_raw():
            size += len(part)
            content += part[: LARGEST_SHOWN - len(content)]
            if size > LARGEST_SHOWN:
                cut = True
                break
        return _outcome(answer, bytes(content), (size, cut), (key.decode(), began))


def _outcome(answer: httpx2.Response, content: bytes, read: tuple[int, bool], secret: tuple[str, float]) -> CallOutcome:
    (size, cut), (key, began) = read, secret
    headers = answer.headers
    textual = _TEXTUAL.match(headers.get("content-type", "text/plain")) and "content-encoding" not in headers
    text = content.decode("utf-8", "replace") if textual else f"{size} bytes that are no text"
    return CallOutcome(
        status=answer.status_code,
        reason=answer.reason_phrase,
        headers=tuple((name, value.replace(key, "***")) for name, value in headers.multi_items()),
        text=text.replace(key, "***").replace("\x00", "\N{REPLACEMENT CHARACTER}"),
        size=size,
        cut=cut,
        micros=int((time.perf_counter() - began) * 1_000_000),
        credits=headers.get("x-credits-charged", ""),
        request_id=headers.get("x-request-id", ""),
    )
