"""The ledger as a streamed file; the same for the page and for the API."""

from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import ExitStack
from datetime import UTC, datetime

from starlette.responses import Response

from domain.access import Permission
from domain.credits.entries import LedgerEntry
from domain.credits.statement_csv import statement_head, statement_lines
from domain.credits.statements import StatementFilter, every_entry
from portal.exporting import MEDIA_TYPES, ExportResponse
from portal.web.visit import Visit


async def statement_export(visit: Visit, wanted: StatementFilter) -> Response:
    """All entries that fit, as CSV. What is wrong is told before the first byte.

    Raises Forbidden, InvalidValue; TooManyTries while too many exports run.
    """
    access = visit.access
    access.require(Permission.BILLING_VIEW)
    name = f"{access.slug}-credits-{datetime.now(UTC):%Y%m%d-%H%M}.csv"
    with ExitStack() as held:
        held.enter_context(visit.services.exports.place(access.organization_id, access.user_id))
        portions = every_entry(visit.services.database, access, wanted)
        first: list[LedgerEntry] = await anext(portions, [])
        return ExportResponse(_body(first, portions), held.pop_all(), MEDIA_TYPES["csv"], name)
    raise AssertionError


async def _body(first: list[LedgerEntry], portions: AsyncIterator[list[LedgerEntry]]) -> AsyncGenerator[bytes, None]:
    yield statement_head() + statement_lines(first)
    async for entries in portions:
        yield statement_lines(entries)
