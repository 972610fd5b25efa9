"""How many rows there are: exactly as far as pages go, and beyond that as the planner estimates. A count costs the same
in a table of ten million rows as in one of ten thousand.
"""

import json
from typing import Any

import asyncpg
from starlette.datastructures import QueryParams

from admin.tables.panel import PAGE_SIZE, crud
from admin.tables.questions import MOST_ROWS, Pairs
from admin.tables.shown import Shown

COUNT_MS = 150
"""After this long the planner is asked, however few rows there may be."""


async def count(connection: Any, shown: Shown, pairs: Pairs) -> dict[str, int]:
    """The number of rows, and of rows on a page, as piccolo-admin's page wants them. In a transaction."""
    statement, values = _selected(shown, pairs)
    bounded = f"select count(*) from ({statement} limit {MOST_ROWS + 1}) counted"  # noqa: S608  made by Piccolo, values apart
    try:
        async with connection.transaction():
            await connection.execute(f"set local statement_timeout = {COUNT_MS}")
            found = await connection.fetchval(bounded, *values)
    except asyncpg.QueryCanceledError:
        found = None
    if found is None or found > MOST_ROWS:
        found = max(MOST_ROWS + 1, await _estimated(connection, statement, values))
    return {"count": found, "page_size": PAGE_SIZE}


async def _estimated(connection: Any, statement: str, values: list[Any]) -> int:
    plan = await connection.fetchval(f"explain (format json) {statement}", *values)
    return int(json.loads(plan)[0]["Plan"]["Plan Rows"])


def _selected(shown: Shown, pairs: Pairs) -> tuple[str, list[Any]]:
    """A statement that selects the ids of what is asked for, by Piccolo's own rules, and its values."""
    rules, key = crud(shown), shown.table._meta.primary_key  # noqa: SLF001
    asked = rules._split_params(rules._parse_params(QueryParams(pairs)))  # noqa: SLF001
    query = rules._apply_filters(shown.table.select(key), asked)  # noqa: SLF001
    statement, values = query.querystrings[0].compile_string()
    return statement, values
