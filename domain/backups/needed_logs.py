"""Which days of request logs a backup without logs has to keep, and what a restore notes of the others.

Kept are whole days: today and yesterday, which the ledger is compared with, and every day whose rows the summaries, the
rollups or the log store do not hold yet, with all days after it. A day that is left out is, once restored, one that was dropped.
"""

from collections.abc import Iterable
from datetime import date, timedelta
from typing import Any

from domain.backups.tables import StoredTable, day_of, quoted
from domain.log_dropping import is_unsent, note_dropped

_SUMMARISED = """
select not exists (select from usage_unfolded u join {table} r on r.created_at = u.stored_at)
   and exists (select from log_day where day = $1 and summarised_at is not null and rows = (select count(*) from {table}))
"""
_GONE = "select day from log_day where rows > 0 and to_regclass('request_log_' || to_char(day, 'YYYYMMDD')) is null"


async def left_out(connection: Any, found: Iterable[StoredTable], today: date) -> set[str]:
    """The tables whose rows are not needed, in the snapshot of the caller's transaction."""
    days = {table.name: day for table in found if (day := day_of(table.name))}
    first_kept = today - timedelta(days=1)
    for name, day in sorted(days.items()):
        if day >= first_kept:
            continue
        if await is_unsent(connection, day) or not await connection.fetchval(
            _SUMMARISED.format(table=quoted(name)), day
        ):
            first_kept = day
    return {name for name, day in days.items() if day < first_kept}


async def note_left_out(connection: Any) -> None:
    """Days that have summaries and no table: rows that still come are added to these, and never put in their place."""
    for row in await connection.fetch(_GONE):
        await note_dropped(connection, row["day"])
