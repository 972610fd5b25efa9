"""Whether a database is one of an older installation: its tables and their columns."""

from collections.abc import Mapping
from typing import Any

from domain.faults import Fault
from domain.legacy.old_rows import CLIENT_COLUMNS, KEY_COLUMNS, PLAN_COLUMNS

TABLES: Mapping[str, tuple[str, ...]] = {
    "clients": CLIENT_COLUMNS,
    "plans": PLAN_COLUMNS,
    "api_keys": KEY_COLUMNS,
    "request_logs": (),
    "log_summaries": (),
}
"""What is read, by table; of the last two rows are only counted."""

_COLUMNS = (
    "select to_regclass($1) is not null as there, (select array_agg(attname::text) from pg_attribute"
    " where attrelid = to_regclass($1) and attnum > 0 and not attisdropped) as columns"
)


class LegacyMismatch(Fault):
    """The older database does not have what docs/import-legacy.md describes."""

    code = "legacy_mismatch"


async def check_tables(old: Any) -> None:
    """Raise LegacyMismatch, which names every table and column that is missing."""
    tables, columns = [], []
    for table, wanted in TABLES.items():
        row = await old.fetchrow(_COLUMNS, table)
        if not row["there"]:
            tables.append(table)
            continue
        columns += [f"{table}.{name}" for name in wanted if name not in (row["columns"] or [])]
    lacks = []
    if tables:
        lacks.append(f"the table{'s' * (len(tables) > 1)} {', '.join(tables)}")
    if columns:
        lacks.append(f"the column{'s' * (len(columns) > 1)} {', '.join(columns)}")
    if lacks:
        raise LegacyMismatch(
            f"The older database lacks {' and '.join(lacks)}. docs/import-legacy.md says what is expected; views do too."
        )
