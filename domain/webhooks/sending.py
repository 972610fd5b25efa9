"""One attempt: post the event's bytes, read the beginning of the answer, say what came of it."""

import asyncio
import time
from dataclasses import dataclass
from uuid import UUID

import httpx2

from domain.webhooks.addresses import Blocked
from domain.webhooks.signing import signed_headers

EXCERPT_BYTES = 4_096
AGENT = "paid-endpoint-webhooks/1"


@dataclass(frozen=True, slots=True)
class Outcome:
    """What an attempt found. `status` is None where no answer came; `error` is a sentence unless it was delivered."""

    status: int | None
    excerpt: str
    duration_ms: int
    error: str

    @property
    def delivered(self) -> bool:
        """Whether the receiver took it."""
        return self.status is not None and 200 <= self.status < 300

    @property
    def gone(self) -> bool:
        """Whether the receiver never wants to hear of it again."""
        return self.status == 410


async def send(
    client: httpx2.AsyncClient,
    url: str,
    *,
    event_id: UUID,
    body: bytes,
    secrets: list[bytes],
    timeout_seconds: float,
) -> Outcome:
    """Post once, signed with each of the secrets. Never raises for what the receiver or the network does."""
    began = time.monotonic()
    headers = {
        **fixed_headers(),
        **signed_headers(secrets, event_id, int(time.time()), body),
    }
    status, excerpt = None, ""
    try:
        async with asyncio.timeout(timeout_seconds):
            async with client.stream("POST", url, content=body, headers=headers) as answer:
                status = answer.status_code
                excerpt = await _beginning(answer)
    except Blocked as fault:
        error = str(fault)
    except TimeoutError:
        # A receiver that said 2xx and then drips its body has taken the event.
        error = f"No whole answer came within {timeout_seconds:g} seconds."
    except (httpx2.ConnectError, httpx2.ConnectTimeout) as fault:
        error = f"No connection could be made: {_short(fault)}"
    except (httpx2.HTTPError, httpx2.InvalidURL, OSError, ValueError) as fault:
        error = f"The connection broke or the answer was no HTTP: {_short(fault)}"
    else:
        error = _judged(status)
    if status is not None and 200 <= status < 300:
        error = ""
    return Outcome(status, excerpt, int((time.monotonic() - began) * 1000), error)


def fixed_headers() -> dict[str, str]:
    """What every attempt carries beside its signature."""
    return {
        "content-type": "application/json",
        "user-agent": AGENT,
        "accept": "*/*",
        "accept-encoding": "identity",
        "connection": "close",
    }


async def _beginning(answer: httpx2.Response) -> str:
    """The first 4 KB as text, as they came: nothing is unpacked."""
    read = bytearray()
    async for part in answer.aiter_raw():
        read += part
        if len(read) >= EXCERPT_BYTES:
            break
    return bytes(read[:EXCERPT_BYTES]).decode("utf-8", "replace").replace("\x00", "\ufffd")


def _judged(status: int) -> str:
    if 300 <= status < 400:
        return f"The endpoint answered {status}. Redirects are not followed: change the endpoint's URL."
    return f"The endpoint answered {status}; only 200 to 299 is taken as received."


def _short(fault: Exception) -> str:
    return (str(fault).strip().partition("\n")[0] or type(fault).__name__)[:200]
