"""Which operations took the units of a quota, from the rollups, for people to look at."""

from dataclasses import dataclass
from datetime import UTC, datetime

import asyncpg

from domain.quotas.periods import window_begin
from domain.quotas.refill import Question
from domain.snapshots import KeySnapshot, LimitSnapshot, PlanSnapshot
from domain.usage_reading import FAULTS, READING_SECONDS, SERIAL, UNITS_BY_OPERATION, logger, parameters_of

MOST_OPERATIONS = 50
"""Those that took most; the others are left out."""

_NAMED = f"""
{SERIAL}
select s.slug as service, n.name as operation, taken.units, taken.requests
  from ({UNITS_BY_OPERATION}) as taken
  left join service s on s.id = taken.service_id left join operation n on n.id = taken.operation_id
 where taken.requests > 0
 order by taken.units desc, taken.requests desc, taken.service_id, taken.operation_id limit {MOST_OPERATIONS}
"""


@dataclass(frozen=True, slots=True)
class OperationUnits:
    """`service` is a slug, None if it is gone; `operation` a name, None if it is gone or none was declared."""

    service: str | None
    operation: str | None
    units: int
    requests: int


async def units_by_operation(
    database: "asyncpg.Pool", key: KeySnapshot, plan: PlanSnapshot, quota: LimitSnapshot, now: datetime
) -> list[OperationUnits] | None:
    """What operations took of a quota in its present window, most first; None if it can't be read."""
    begin = datetime.fromtimestamp(window_begin(quota.period, key.month_anchor, now.timestamp()), UTC)
    where = key.organization_id, None, quota.service_id, quota.operation_id
    question = Question(*where, begin, None, quota.unit, plan.quota_costs, plan.prices)
    try:
        rows = await database.fetch(_NAMED, *parameters_of(question), timeout=READING_SECONDS)
    except FAULTS as fault:
        logger.warning("the operations of a quota can't be read: %s", fault)
        return None
    return [OperationUnits(**dict(row)) for row in rows]
