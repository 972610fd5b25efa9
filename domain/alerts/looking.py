"""One look: what is measured is compared with where each alert stands, and what is new is told once.

Each crossing is one transaction with its mails and its event: killed anywhere, it is told whole or by the next look. Of
two workers that see the same, the second finds the state changed and says nothing.
"""

from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from domain.alert_settings import AlertSettings
from domain.alerts.customers import Customer, measure
from domain.alerts.measures import CUSTOMERS, OF_LIMITS, OPERATORS, OWN, Measure
from domain.alerts.operators import measure_installation
from domain.alerts.rules import level_after, mailed
from domain.alerts.states import State, clear, move, open_states, states_about, states_of, told_late
from domain.alerts.telling import Teller, tell_customer, tell_operators


@dataclass(slots=True)
class Told:
    """How many levels were told, how many mails that made, and how many alerts were armed again."""

    levels: int = 0
    mails: int = 0
    armed: int = 0

    def add(self, other: "Told") -> None:
        """Count the other's too."""
        self.levels += other.levels
        self.mails += other.mails
        self.armed += other.armed


@dataclass(frozen=True, slots=True)
class Looker:
    """What a look needs of the settings."""

    alerts: AlertSettings
    teller: Teller


async def look_at_organization(connection: Any, looker: Looker, organization_id: UUID, now: datetime) -> Told:
    """Tell one organization what it has reached since the last look. Raises NotFound."""
    states = await states_of(connection, CUSTOMERS, organization_id)
    customer = await measure(connection, organization_id, looker.alerts, now)
    told = Told()
    for (kind, subject), stands in states.items():
        if stands.level and _is_gone(kind, subject, customer):
            told.armed += await clear(connection, kind, subject, stands, now)
    for one in customer.measures:
        before = states.get((one.kind, one.subject))
        level = _new_level(one, before)
        if level is None:
            continue
        async with connection.transaction():
            higher = level > _level_before(one, before)
            by_mail = higher and _mailed(one, level, before, now)
            if not await move(connection, one, level, before, now, rises=higher, mails=by_mail):
                continue
            told.armed += not higher
            if higher:
                told.levels += 1
                told.mails += await tell_customer(
                    connection, looker.teller, customer.organization, one, level, now, by_mail=by_mail
                )
    return told


def _is_gone(kind: str, subject: str, customer: Customer) -> bool:
    """Whether it is measured no more: the limit holds no longer, or nobody wants to be told of it."""
    if kind in OF_LIMITS:
        return subject not in customer.limits
    return kind in OWN and kind not in {one.kind for one in customer.measures}


async def look_at_installation(connection: Any, looker: Looker, now: datetime) -> Told:
    """Tell operators what has happened since the last look, and let go what is over.

    Of what is snoozed no mail is written; if it rose meanwhile and stands when the snooze is over, it is told then.
    """
    open_ones = await open_states(connection, OPERATORS)
    measures = await measure_installation(connection, looker.alerts, now)
    states = open_ones | await states_about(connection, OPERATORS, [one.subject for one in measures])
    told = Told()
    for one in measures:
        before = states.get((one.kind, one.subject))
        open_ones.pop((one.kind, one.subject), None)
        level = _new_level(one, before)
        if level is None:
            if before is not None and _level_before(one, before) and before.owed(now):
                told.add(await _tell_late(connection, looker, one, before, now))
            continue
        async with connection.transaction():
            higher = level > _level_before(one, before)
            by_mail = higher and not (before is not None and before.snoozed(now))
            if not await move(connection, one, level, before, now, rises=higher, mails=by_mail):
                continue
            told.armed += not higher
            told.levels += higher
            if by_mail:
                told.mails += await tell_operators(connection, looker.teller, looker.alerts.email, one)
    # What is measured no more has too few requests, costs little, or is no alert any longer by the settings.
    for (kind, subject), before in open_ones.items():
        told.armed += await clear(connection, kind, subject, before, now)
    return told


async def _tell_late(connection: Any, looker: Looker, one: Measure, before: State, now: datetime) -> Told:
    async with connection.transaction():
        if not await told_late(connection, one, before, now):
            return Told()
        return Told(levels=1, mails=await tell_operators(connection, looker.teller, looker.alerts.email, one))


def _level_before(one: Measure, before: State | None) -> int:
    """0 where another window counts now."""
    begins = one.window.begins if one.window else None
    return before.level if before is not None and before.period_begins == begins else 0


def _new_level(one: Measure, before: State | None) -> int | None:
    """Where it stands now; None if that is where it stood, or a later window was looked at already."""
    if before is not None and before.period_begins and one.window and one.window.begins < before.period_begins:
        return None
    standing = _level_before(one, before)
    level = level_after(standing, one.reach)
    return None if level == standing else level


def _mailed(one: Measure, level: int, before: State | None, now: datetime) -> bool:
    period = one.window.period if one.window else ""
    return mailed(period, level, before.mailed_at if before else None, now)
