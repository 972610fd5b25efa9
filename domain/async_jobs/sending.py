"""One attempt: a job's request to its upstream, and what the answer means. Never raises for what the upstream does."""

import asyncio
import json
import random
from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum, auto
from typing import Any

import httpx2

from domain.async_jobs.claiming import Claim
from domain.catalog.reading import parse_upstream
from domain.snapshots import UpstreamSnapshot

Fields = Sequence[tuple[bytes, bytes]]
AGAIN = frozenset((408, 425, 429))
"""Statuses that mean: the same once more, later."""
TAKEN = 202
LONGEST_EXCERPT = 500


class Meaning(Enum):
    """What an answer means for the job. LATER: it is certainly not at work; DOUBT: it may be."""

    TAKEN = auto()
    DONE = auto()
    REFUSED = auto()
    LATER = auto()
    DOUBT = auto()
    NOWHERE = auto()


@dataclass(frozen=True, slots=True, repr=False)
class Answer:
    """What an attempt found; `said` is a sentence where it was not taken or done."""

    meaning: Meaning
    said: str = ""
    result_type: str = ""
    result: bytes = b""


async def send(client: httpx2.AsyncClient, claim: Claim, fields: Fields, callback_url: str, most: int) -> Answer:
    """Send once, with the job's id; read a result of at most `most` bytes."""
    origin = _pick(claim)
    if origin is None:
        return Answer(Meaning.NOWHERE, "The service has no upstream that can be used.")
    request = _request(claim, origin, fields, callback_url)
    begun = False
    try:
        async with asyncio.timeout(claim.to.whole):
            answer = await client.send(request, stream=True)
            begun = True
            try:
                return await _read(answer, most)
            finally:
                await answer.aclose()
    except (httpx2.ConnectError, httpx2.ConnectTimeout, httpx2.PoolTimeout) as fault:
        return Answer(Meaning.LATER, f"No connection could be made: {_short(fault)}")
    except TimeoutError:
        return Answer(Meaning.DOUBT, "No whole answer came in time.")
    except (httpx2.HTTPError, httpx2.InvalidURL, OSError, ValueError) as fault:
        what = "broke in the answer" if begun else "broke before an answer came"
        return Answer(Meaning.DOUBT, f"The connection {what}: {_short(fault)}")


async def _read(answer: httpx2.Response, most: int) -> Answer:
    status = answer.status_code
    if status == TAKEN:
        return Answer(Meaning.TAKEN)
    if 200 <= status < 300:
        return await _result(answer, most)
    sentence = f"The service answered {status}."
    if status >= 500 or status in AGAIN:
        return Answer(Meaning.LATER, sentence)
    excerpt = (await _beginning(answer, LONGEST_EXCERPT)).decode("utf-8", "replace")
    return Answer(Meaning.REFUSED, f"{sentence} {excerpt}")


async def _result(answer: httpx2.Response, most: int) -> Answer:
    coding = answer.headers.get("content-encoding", "identity").strip().lower()
    if coding not in {"", "identity"}:
        return Answer(Meaning.REFUSED, "The service's result is encoded, although it was asked not to be.")
    body = await _beginning(answer, most + 1)
    if len(body) > most:
        return Answer(Meaning.REFUSED, f"The service's result has more than {most} bytes.")
    return Answer(Meaning.DONE, "", answer.headers.get("content-type", ""), body)


async def _beginning(answer: httpx2.Response, most: int) -> bytes:
    read = bytearray()
    async for part in answer.aiter_raw():
        read += part
        if len(read) >= most:
            break
    return bytes(read[:most])


def _request(claim: Claim, origin: UpstreamSnapshot, fields: Fields, callback_url: str) -> httpx2.Request:
    ours = [
        (b"host", origin.host_header),
        *fields,
        (b"x-pe-job-id", str(claim.id).encode()),
        (b"x-pe-callback-url", f"{callback_url}/callbacks/jobs/{claim.id}".encode()),
    ]
    to = claim.to
    timeout = {"connect": to.connect, "read": max(to.first_byte, to.idle), "write": to.idle, "pool": to.connect}
    host = f"[{origin.host}]" if ":" in origin.host else origin.host
    return httpx2.Request(
        claim.method,
        f"{origin.scheme}://{host}:{origin.port}/",
        headers=ours,
        content=claim.body or None,
        # The path goes out as it came, whatever a URL of it would become.
        extensions={"target": origin.path + claim.target.encode("latin-1"), "timeout": timeout},
    )


def _pick(claim: Claim) -> UpstreamSnapshot | None:
    """One of the service's origins, at random by weight; None where none can be used."""
    stored: Any = claim.to.upstreams
    entries = json.loads(stored) if isinstance(stored, str) else stored
    origins = []
    for entry in entries:
        try:
            origins.append(parse_upstream(entry["url"], entry.get("weight", 1), tls_verify=claim.to.tls_verify))
        except (ValueError, TypeError, KeyError, AttributeError):
            continue
    if not origins:
        return None
    weights = [origin.weight for origin in origins]
    return random.choices(origins, weights if any(weights) else None)[0]  # noqa: S311  spreading, not secrecy


def _short(fault: Exception) -> str:
    return (str(fault).strip().partition("\n")[0] or type(fault).__name__)[:200]
