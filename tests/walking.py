"""What walks through unsafe requests need: commits that fail, and all that a database holds."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from schema.piccolo_app import APP_CONFIG

_FAIL = """
create function fail_at_the_end() returns trigger language plpgsql as $$ begin raise exception 'not today'; end $$;
create constraint trigger fail_at_the_end after insert on audit_entry deferrable initially deferred
   for each row execute function fail_at_the_end()
"""
_HEAL = "drop trigger fail_at_the_end on audit_entry; drop function fail_at_the_end()"


@asynccontextmanager
async def failing(connection: Any) -> AsyncIterator[None]:
    """A block in which each transaction that wrote an audit entry fails as it commits: after all that it has changed."""
    await connection.execute(_FAIL)
    try:
        yield
    finally:
        await connection.execute(_HEAL)


async def contents(connection: Any) -> dict[str, Any]:
    """How many rows each table has, and a sum over all that stands in them."""
    names = sorted(table._meta.tablename for table in APP_CONFIG.table_classes)
    asked = " union all ".join(
        f"select '{name}' as name, count(*) as rows, sum(hashtextextended(t::text, 0)) as sum from \"{name}\" t"
        for name in names
    )
    return {row["name"]: (row["rows"], row["sum"]) for row in await connection.fetch(asked)}
