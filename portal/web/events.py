"""Server-sent events of an organization's live usage, as a response that always ends and leaves nothing behind."""

import asyncio
import json
from dataclasses import asdict
from time import monotonic
from typing import Any

from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from domain.access import ROLES, Permission
from domain.analytics.live import Live
from domain.credit_amounts import credits_text
from portal.live import Viewer
from portal.web.visit import Visit

LONGEST_SECONDS = 15 * 60
HEARTBEAT_SECONDS = 15
SLOWEST_SECONDS = 10
"""A reader that takes nothing for so long is gone."""

_FIELDS = [(b"content-type", b"text/event-stream; charset=utf-8"), (b"x-accel-buffering", b"no")]


class LiveEvents(Response):
    """Events `usage` with JSON, at most one a second and only when something changed; comments in between.

    Ends with the event `end` when the session or the membership has ended, after 15 minutes, and without it when the
    reader is gone or takes nothing.
    """

    def __init__(self, visit: Visit) -> None:
        super().__init__()  # for who looks at it before it is sent: `send` gets what `_send_all` says
        self._live, self._access, self._session_id = visit.services.live, visit.access, visit.person.id
        self._live.require_room(self._access)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Send until one side ends it."""
        del scope
        async with self._live.watching(self._access, self._session_id) as viewer:
            tasks = {
                asyncio.create_task(self._send_all(viewer, send), name="live events"),
                asyncio.create_task(_until_gone(receive), name="live reader"),
            }
            try:
                await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
            finally:
                for task in tasks:
                    task.cancel()
                await asyncio.gather(*tasks, return_exceptions=True)

    async def _send_all(self, viewer: Viewer, send: Send) -> None:
        await _sent(send, {"type": "http.response.start", "status": 200, "headers": _FIELDS})
        await _part(send, "retry: 5000\n\n")
        last: str | None = ""
        until = monotonic() + LONGEST_SECONDS
        while last is not None and monotonic() < until:
            last = await self._one(viewer, send, last)
        await _part(send, "event: end\ndata: {}\n\n")
        await _sent(send, {"type": "http.response.body", "body": b"", "more_body": False})

    async def _one(self, viewer: Viewer, send: Send, last: str) -> str | None:
        """Wait for the next picture, and send it if it tells something new; what was sent last, None at the end."""
        try:
            async with asyncio.timeout(HEARTBEAT_SECONDS):
                picture = await viewer.next()
        except TimeoutError:
            await _part(send, ": still here\n\n")
            return last
        if picture is None:
            return None
        text = live_json(picture, self._session_id)
        await _part(send, f"event: usage\ndata: {text}\n\n" if text != last else ":\n\n")
        return text


def live_json(picture: Live, viewer: Any) -> str:
    """What a viewer is told: credits only to who may see what is paid."""
    billing = Permission.BILLING_VIEW in ROLES[picture.roles[viewer]]
    values = {
        "requests_per_second": round(picture.per_second, 2),
        "requests_today": picture.requests,
        "errors_today": picture.errors,
        "credits": credits_text(picture.credits_micro) if billing else None,
        "newest": [
            {**asdict(call), "id": str(call.id), "at": call.at.isoformat(timespec="milliseconds")}
            for call in picture.newest
        ],
    }
    return json.dumps(values, ensure_ascii=True, separators=(",", ":"))


async def _until_gone(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass


async def _part(send: Send, text: str) -> None:
    await _sent(send, {"type": "http.response.body", "body": text.encode(), "more_body": True})


async def _sent(send: Send, message: dict[str, Any]) -> None:
    async with asyncio.timeout(SLOWEST_SECONDS):
        await send(message)
