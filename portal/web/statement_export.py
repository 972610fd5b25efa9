"""The ledger as a streamed file; the same for the page and for the API."""

from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import aclosing
from datetime import UTC, datetime

from starlette.responses import Response, StreamingResponse
from starlette.types import Receive, Scope, Send

from domain.access import Permission
from domain.credits.entries import LedgerEntry
from domain.credits.statement_csv import csv_head, csv_lines
from domain.credits.statements import StatementFilter, every_entry
from portal.web.visit import Visit


class StatementResponse(StreamingResponse):
    """Closes what it streams from however it ends: sent whole, left by the client, or broken."""

    def __init__(self, body: AsyncGenerator[bytes, None], name: str) -> None:
        headers = {"content-disposition": f'attachment; filename="{name}"', "x-accel-buffering": "no"}
        super().__init__(body, headers=headers, media_type="text/csv; charset=utf-8")
        self._body = body

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Send it."""
        async with aclosing(self._body):
            await super().__call__(scope, receive, send)


async def statement_export(visit: Visit, wanted: StatementFilter) -> Response:
    """All entries that fit, as CSV. What is wrong is told before the first byte. Raises Forbidden, InvalidValue."""
    access = visit.access
    access.require(Permission.BILLING_VIEW)
    portions = every_entry(visit.services.database, access, wanted)
    first: list[LedgerEntry] = await anext(portions, [])
    return StatementResponse(_body(first, portions), f"{access.slug}-credits-{datetime.now(UTC):%Y%m%d-%H%M}.csv")


async def _body(first: list[LedgerEntry], portions: AsyncIterator[list[LedgerEntry]]) -> AsyncGenerator[bytes, None]:
    yield csv_head() + csv_lines(first)
    async for entries in portions:
        yield csv_lines(entries)
