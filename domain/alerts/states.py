"""Which level each alert stands at: rows that change by one conditional statement, so that of two workers one tells."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from domain.alerts.measures import Measure
from schema.messages import AlertKind

_COLUMNS = "kind, subject, level, changes, period_begins, mailed_at, raised_at, snoozed_until"
_OF = f"select {_COLUMNS} from alert_state where kind = any($1) and organization_id = $2"
_OPEN = f"select {_COLUMNS} from alert_state where kind = any($1) and level > 0"
_STORED = f"select {_COLUMNS} from alert_state where kind = any($1) and subject = any($2)"
# Nothing is written about an organization that was suspended or closed meanwhile: the lock lets that wait for us, or us for it.
_ACTIVE = "$3::uuid is null or exists (select from organization where id = $3 and state = 'active' for share)"
_VALUES = "level = $5, value = $6, threshold = $7, period_begins = $8, period_ends = $9, name = $4"
_INSERT = f"""
insert into alert_state as a (kind, subject, organization_id, name, level, value, threshold, period_begins, period_ends, since,
                         mailed_at, changes, raised_level, raised_at)
select $1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, 1, $5, $10 where {_ACTIVE}
on conflict on constraint uq_alert_state_kind_subject do nothing returning id
"""
_CHANGE = f"""
update alert_state set {_VALUES}, since = $10, mailed_at = coalesce($11, mailed_at), changes = changes + 1,
       raised_level = case when $13 then $5 else raised_level end, raised_at = case when $13 then $10 else raised_at end
 where kind = $1 and subject = $2 and changes = $12 and ({_ACTIVE}) returning id
"""
_TOLD = """
update alert_state set mailed_at = $4, changes = changes + 1
 where kind = $1 and subject = $2 and changes = $3 returning id
"""
_CLEAR = """
update alert_state set level = 0, since = $4, changes = changes + 1
 where kind = $1 and subject = $2 and changes = $3 returning id
"""


@dataclass(frozen=True, slots=True)
class State:
    """Where an alert stands. `changes` numbers its changes; a change is made only to the state that was read."""

    level: int
    changes: int
    period_begins: datetime | None
    mailed_at: datetime | None
    raised_at: datetime | None = None
    snoozed_until: datetime | None = None

    def snoozed(self, now: datetime) -> bool:
        """Whether no mail is written of it now."""
        return self.snoozed_until is not None and self.snoozed_until > now

    def owed(self, now: datetime) -> bool:
        """Whether it rose while it was snoozed, still stands, and the snooze is over: then it is told now."""
        if not self.level or self.raised_at is None or self.snoozed_until is None or self.snoozed_until > now:
            return False
        return self.raised_at < self.snoozed_until and (self.mailed_at is None or self.mailed_at < self.raised_at)


States = dict[tuple[str, str], State]
"""By kind and subject."""


async def states_of(connection: Any, kinds: Sequence[AlertKind], organization_id: UUID) -> States:
    """All of an organization."""
    return _states(await connection.fetch(_OF, list(kinds), organization_id))


async def open_states(connection: Any, kinds: Sequence[AlertKind]) -> States:
    """All of these kinds that stand at a level."""
    return _states(await connection.fetch(_OPEN, list(kinds)))


async def states_about(connection: Any, kinds: Sequence[AlertKind], subjects: Sequence[str]) -> States:
    """Those of these subjects."""
    return _states(await connection.fetch(_STORED, list(kinds), list(subjects)))


async def move(
    connection: Any, measure: Measure, level: int, before: State | None, now: datetime, *, rises: bool, mails: bool
) -> bool:
    """Store that it stands at `level` since `now`; False if it changed since `before` was read, or nobody is to be told.

    `rises`: it is told; `mails`: by mail, too. In the caller's transaction, with what tells of it: then both happen, or neither.
    """
    window = measure.window
    values = (
        measure.kind,
        measure.subject,
        measure.organization_id,
        measure.name,
        level,
        measure.value,
        measure.threshold,
        window.begins if window else None,
        window.ends if window else None,
        now,
        now if mails else None,
    )
    if before is None:
        return await connection.fetchval(_INSERT, *values) is not None
    return await connection.fetchval(_CHANGE, *values, before.changes, rises) is not None


async def told_late(connection: Any, measure: Measure, before: State, now: datetime) -> bool:
    """Store that it is told now, where it stands; False if it changed since. In the transaction that tells of it."""
    return await connection.fetchval(_TOLD, measure.kind, measure.subject, before.changes, now) is not None


async def clear(connection: Any, kind: str, subject: str, before: State, now: datetime) -> bool:
    """Nothing is the matter any more; False if it changed since."""
    return await connection.fetchval(_CLEAR, kind, subject, before.changes, now) is not None


def _states(rows: Sequence[Any]) -> States:
    return {
        (row["kind"], row["subject"]): State(
            row["level"],
            row["changes"],
            row["period_begins"],
            row["mailed_at"],
            row["raised_at"],
            row["snoozed_until"],
        )
        for row in rows
    }
