"""The alerts that stand now, as operators look at them."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

MOST = 200
# A level of a window that is over says nothing any more, nor does one of who is suspended or closed.
_OPEN = """
select a.kind, a.subject, a.organization_id, o.slug as organization, a.name, a.level, a.value, a.threshold, a.period_begins,
       a.period_ends, a.since
  from alert_state a left join organization o on o.id = a.organization_id
 where a.level > 0 and (a.period_ends is null or a.period_ends > $1) and (o.id is null or o.state = 'active')
   and ($2::uuid is null or a.organization_id = $2)
 order by a.kind in ('error_rate', 'day_cost') desc, a.since desc, a.id limit $3
"""


@dataclass(frozen=True, slots=True)
class OpenAlert:
    """`level` is a percent of the threshold; `value` and `threshold` are as they were when it was reached, `since`.

    In requests, units or micro-credits; of an error rate failures and requests. `organization` is its slug; None: all.
    """

    kind: str
    subject: str
    organization_id: UUID | None
    organization: str | None
    name: str
    level: int
    value: int
    threshold: int
    period_begins: datetime | None
    period_ends: datetime | None
    since: datetime


async def open_alerts(
    connection: Any, now: datetime, *, organization_id: UUID | None = None, most: int = MOST
) -> list[OpenAlert]:
    """What stands at a level now, of one organization or of all: operators' own first, then by time, newest first."""
    return [OpenAlert(**dict(row)) for row in await connection.fetch(_OPEN, now, organization_id, most)]
