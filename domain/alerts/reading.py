"""The alerts that stand now, and those that ended lately, as operators look at them."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from domain.alerts.measures import OPERATORS
from domain.faults import NotFound
from schema.messages import AlertKind

MOST = 200
LATELY = timedelta(hours=24)
"""So long what has ended is shown."""
_COLUMNS = """
select a.id, a.kind, a.subject, a.organization_id, o.slug as organization, o.name as organization_name, a.name, a.level, a.value,
       a.threshold, a.period_begins, a.period_ends, a.since, a.raised_level, a.raised_at, a.snoozed_until, a.snooze_reason
  from alert_state a left join organization o on o.id = a.organization_id
"""
# A level of a window that is over says nothing any more, nor does one of who is suspended or closed.
_STANDS = "a.level > 0 and (a.period_ends is null or a.period_ends > $1) and (o.id is null or o.state = 'active')"
_OPEN = f"""
{_COLUMNS}
 where {_STANDS} and ($2::uuid is null or a.organization_id = $2) and ($4::text[] is null or a.kind = any($4))
 order by a.since desc, a.id limit $3
"""
# Left behind, or its window is over: two walks along an index each.
_ENDED = f"""
select * from (
    ({_COLUMNS} where a.level = 0 and a.since > $2 and a.raised_at is not null and a.kind = any($4)
      and ($5::uuid is null or a.organization_id = $5) order by a.since desc limit $3)
    union all
    ({_COLUMNS} where a.level > 0 and a.period_ends > $2 and a.period_ends <= $1 and a.kind = any($4)
      and ($5::uuid is null or a.organization_id = $5) order by a.period_ends desc limit $3)
) as ended order by case when level = 0 then since else period_ends end desc, id limit $3
"""
_ONE = f"{_COLUMNS} where a.id = $1"
_AWAKE = f"""
select count(*) from (
    select from alert_state a left join organization o on o.id = a.organization_id
     where a.kind = any($2) and {_STANDS} and (a.snoozed_until is null or a.snoozed_until <= $1) limit $3) as awake
"""


@dataclass(frozen=True, slots=True)
class AlertRecord:
    """`level` is a percent of the threshold; `value` and `threshold` are as they were when it was reached, `since`.

    In requests, units or micro-credits; of an error rate failures and requests. `organization` is its slug; None: all.
    `raised_level` is the one that it rose to last, at `raised_at`: what an alert that has ended had stood at.
    """

    id: UUID
    kind: str
    subject: str
    organization_id: UUID | None
    organization: str | None
    organization_name: str | None
    name: str
    level: int
    value: int
    threshold: int
    period_begins: datetime | None
    period_ends: datetime | None
    since: datetime
    raised_level: int
    raised_at: datetime | None
    snoozed_until: datetime | None
    snooze_reason: str

    @property
    def ended_at(self) -> datetime | None:
        """When it was left behind, or its window was over; None: it stands for as long as nobody looks again."""
        return self.since if self.level == 0 else self.period_ends

    def snoozed(self, now: datetime) -> bool:
        """Whether no mail is written of it now."""
        return self.snoozed_until is not None and self.snoozed_until > now


async def open_alerts(
    connection: Any,
    now: datetime,
    *,
    organization_id: UUID | None = None,
    kinds: Sequence[AlertKind] | None = None,
    most: int = MOST,
) -> list[AlertRecord]:
    """What stands at a level now, of one organization or of all, and of these kinds; the newest first."""
    chosen = None if kinds is None else list(kinds)
    return [AlertRecord(**dict(row)) for row in await connection.fetch(_OPEN, now, organization_id, most, chosen)]


async def ended_alerts(
    connection: Any,
    now: datetime,
    kinds: Sequence[AlertKind],
    *,
    organization_id: UUID | None = None,
    most: int = MOST,
) -> list[AlertRecord]:
    """What stood at a level and ended within LATELY: it was left behind, or its window is over. What ended last first."""
    rows = await connection.fetch(_ENDED, now, now - LATELY, most, list(kinds), organization_id)
    return [AlertRecord(**dict(row)) for row in rows]


async def fetch_alert(connection: Any, alert_id: UUID) -> AlertRecord:
    """One, whether it stands or not. Raises NotFound."""
    row = await connection.fetchrow(_ONE, alert_id)
    if row is None:
        raise NotFound("There is no such alert.")
    return AlertRecord(**dict(row))


async def count_awake(connection: Any, now: datetime, most: int) -> int:
    """How many alerts for operators stand that nobody has snoozed; counted up to `most`."""
    count: int = await connection.fetchval(_AWAKE, now, list(OPERATORS), most)
    return count
