"""An operator has seen an alert: until a moment no mail is written of it. It is shown all the same."""

from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from domain import audit
from domain.alerts.measures import OPERATORS
from domain.alerts.reading import AlertRecord, fetch_alert
from domain.faults import Conflict, InvalidValue

LONGEST = timedelta(days=30)
# It counts as a change of the state: a look that has read it before writes no mail any more.
_SNOOZE = """
update alert_state set snoozed_until = $2, snooze_reason = $3, changes = changes + 1
 where id = $1 and level > 0 and (period_ends is null or period_ends > $4) returning id
"""
_WAKE = """
update alert_state set snoozed_until = $2, changes = changes + 1 where id = $1 and snoozed_until > $2 returning id
"""


async def find_snoozable(connection: Any, alert_id: UUID, now: datetime) -> AlertRecord:
    """An alert for operators that stands. Raises NotFound; Conflict if it is a customer's, or is over."""
    found = await fetch_alert(connection, alert_id)
    if found.kind not in OPERATORS:
        raise Conflict("Customers are told of this themselves, by their own choice; operators get no mail of it.")
    if not found.level or (found.period_ends is not None and found.period_ends <= now):
        raise Conflict("This alert is over.")
    return found


def check_until(until: datetime, now: datetime) -> None:
    """Raises InvalidValue unless it is a moment to come, within LONGEST."""
    if not now < until <= now + LONGEST:
        raise InvalidValue(f"Snooze it until a time to come, within {LONGEST.days} days.")


async def snooze(
    connection: Any, actor: audit.Actor, alert_id: UUID, until: datetime, now: datetime, *, reason: str
) -> AlertRecord:
    """No mail of it before `until`, in the caller's transaction. Raises NotFound, Conflict, InvalidValue."""
    check_until(until, now)
    found = await find_snoozable(connection, alert_id, now)
    if await connection.fetchval(_SNOOZE, alert_id, until, reason[:500], now) is None:
        raise Conflict("This alert is over.")
    await _record(connection, actor, audit.Verb.ALERT_SNOOZE, found, until, reason)
    return found


async def wake(connection: Any, actor: audit.Actor, alert_id: UUID, now: datetime, *, reason: str) -> AlertRecord:
    """Mails are written of it again, in the caller's transaction. Raises NotFound, Conflict if it is not snoozed."""
    found = await fetch_alert(connection, alert_id)
    if await connection.fetchval(_WAKE, alert_id, now) is None:
        raise Conflict("This alert is not snoozed.")
    await _record(connection, actor, audit.Verb.ALERT_WAKE, found, now, reason)
    return found


async def _record(
    connection: Any, actor: audit.Actor, verb: audit.Verb, found: AlertRecord, until: datetime, reason: str
) -> None:
    await audit.record(
        connection,
        actor,
        verb,
        audit.Thing("alert", str(found.id), f"{found.kind} of {found.name}"),
        before={"snoozed_until": found.snoozed_until},
        after={"snoozed_until": until},
        reason=reason,
    )
