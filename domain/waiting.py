"""What waits: mails and webhooks to be delivered, and alerts that stand for operators. Small questions, each along an index."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from domain.alerts.measures import OPERATORS

MOST = 10_000
"""Rows that are counted of a queue; of more, so many and more."""
OUTBOXES: Mapping[str, str] = {"mail": "outbox_message", "webhook": "webhook_delivery"}
"""What is delivered, and the table in which it waits."""
FAILED_WITHIN = timedelta(days=1)
_QUEUE = f"""
select (select count(*) from (select 1 from {{table}} where state = 'waiting' limit {MOST}) as w) as waiting,
       (select min(due_at) from {{table}} where state = 'waiting') as due,
       (select count(*) from (select 1 from {{table}} where state = 'failed' and ended_at > $1 limit {MOST}) as f) as failed
"""
_ALERTS = """
select a.kind, count(*) as stand, min(a.since) filter (where a.snoozed_until is null or a.snoozed_until <= $1) as oldest
  from alert_state a left join organization o on o.id = a.organization_id
 where a.kind = any($2) and a.level > 0 and (a.period_ends is null or a.period_ends > $1)
   and (o.id is null or o.state = 'active')
 group by a.kind
"""


@dataclass(frozen=True, slots=True)
class Outbox:
    """Of one kind: how many wait, seconds for which the oldest is overdue (0: none), how many were given up within a day."""

    waiting: int
    due: datetime | None
    failed: int

    def behind(self, now: datetime) -> float:
        """Seconds for which the oldest that is due waits; what is to be tried again later is not due."""
        return max(0.0, (now - self.due).total_seconds()) if self.due else 0.0


@dataclass(frozen=True, slots=True)
class Standing:
    """Outboxes by kind, alerts for operators by kind, and since when the oldest of them stands that nobody snoozed."""

    outboxes: Mapping[str, Outbox]
    alerts: Mapping[str, int]
    oldest_alert: datetime | None


async def read_outbox(connection: Any, kind: str, now: datetime) -> Outbox:
    """Of a kind of OUTBOXES."""
    return Outbox(**dict(await connection.fetchrow(_QUEUE.format(table=OUTBOXES[kind]), now - FAILED_WITHIN)))


async def read_waiting(connection: Any, now: datetime) -> Standing:
    """All of it."""
    outboxes = {kind: await read_outbox(connection, kind, now) for kind in OUTBOXES}
    rows = await connection.fetch(_ALERTS, now, list(OPERATORS))
    stand = {row["kind"]: row["stand"] for row in rows}
    return Standing(
        outboxes,
        {kind.value: stand.get(kind.value, 0) for kind in OPERATORS},
        min((row["oldest"] for row in rows if row["oldest"]), default=None),
    )
