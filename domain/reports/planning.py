"""How PostgreSQL plans the queries of reports: by the values of each, which alone say how long a window is."""

from typing import Any

from domain.reports.shapes import Make, Report, ReportChoice

_PLANNING = "set local plan_cache_mode = force_custom_plan; set local jit = off; set local work_mem = '64MB'"


def planned(make: Make) -> Make:
    """The same in a transaction of its own, or a savepoint of the caller's.

    A plan that was made once for all windows may read a year of rows for each organization.
    """

    async def made(connection: Any, choice: ReportChoice) -> Report:
        async with connection.transaction():
            await connection.execute(_PLANNING)
            return await make(connection, choice)

    return made
