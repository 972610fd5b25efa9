"""An export of request logs as an answer: streamed, in one of the few places, gone with its reader."""

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Mapping
from contextlib import ExitStack, aclosing
from datetime import UTC, datetime
from functools import partial

from starlette.responses import Response, StreamingResponse
from starlette.types import Message, Receive, Scope, Send

from domain.access import Permission
from domain.log_export import export_batches, file_name, head_of, lines_of, note_export
from domain.log_filters import NAMES, parse_search
from domain.log_reading import LogEntry
from portal.web.visit import Visit

MEDIA_TYPES = {"csv": "text/csv; charset=utf-8", "jsonl": "application/jsonl"}

SLOWEST_SECONDS = 30
"""A reader that does not take a part within this time is cut off: its place is for others."""


class ExportResponse(StreamingResponse):
    """Closes what it streams from however it ends: sent whole, left by the client, or broken."""

    def __init__(self, body: AsyncGenerator[bytes, None], place: ExitStack, media_type: str, name: str) -> None:
        headers = {"content-disposition": f'attachment; filename="{name}"', "x-accel-buffering": "no"}
        super().__init__(body, headers=headers, media_type=media_type)
        self._body, self._place = body, place

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Send it. Raises what breaks it, so that the server cuts the connection and nobody takes it for whole."""
        with self._place:
            async with aclosing(self._body):
                await super().__call__(scope, receive, partial(_taken, send))


async def _taken(send: Send, message: Message) -> None:
    async with asyncio.timeout(SLOWEST_SECONDS):
        await send(message)


async def export_answer(
    visit: Visit, file_format: str, filters: Mapping[str, str], *, known_keys_only: bool = True
) -> Response:
    """The logs that match, as a file. Audited before the first byte. Raises Forbidden, InvalidValue, TooManyTries."""
    visit.access.require(Permission.VIEW)
    organization_id, now = visit.access.organization_id, datetime.now(UTC)
    given = {name: text for name, text in filters.items() if name in NAMES and text}
    with ExitStack() as held:
        held.enter_context(visit.services.exports.place(organization_id, visit.access.user_id))
        async with visit.services.database.acquire() as connection, connection.transaction():
            wanted = await parse_search(
                connection,
                organization_id,
                given,
                zone=visit.person.time_zone,
                now=now,
                known_keys_only=known_keys_only,
            )
            await note_export(connection, visit.access, visit.actor, file_format, given)
        batches = export_batches(visit.services.database, organization_id, wanted, visit.services.logs)
        first = await anext(batches)
        return ExportResponse(
            _body(file_format, first, batches),
            held.pop_all(),
            MEDIA_TYPES[file_format],
            file_name(visit.access.slug, file_format, now),
        )
    raise AssertionError


async def _body(
    file_format: str, first: list[LogEntry], batches: AsyncIterator[list[LogEntry]]
) -> AsyncGenerator[bytes, None]:
    yield head_of(file_format) + lines_of(file_format, first)
    async for entries in batches:
        if entries:
            yield lines_of(file_format, entries)
