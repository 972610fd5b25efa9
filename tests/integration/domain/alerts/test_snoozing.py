"""Alerts that an operator has snoozed: they move as ever, and nobody is mailed before the time has come."""

import asyncio
from datetime import timedelta

import pytest

from domain.alerts import looking
from domain.alerts.reading import count_awake, ended_alerts, fetch_alert, open_alerts
from domain.alerts.snoozing import LONGEST, snooze, wake
from domain.audit import Actor
from domain.faults import Conflict, InvalidValue, NotFound
from schema.messages import AlertKind
from tests.integration.domain.alerts.customers import customer, now
from tests.integration.domain.alerts.test_operators import MICRO, answered, look, mails, weather

ME = Actor("operator", None, "olga@example.com")
HOURS = [timedelta(hours=hours) for hours in range(12)]


async def failing(pool, ids, organization, at) -> None:
    await answered(pool, organization, ids, 10, at, status=502, outcome="failed")


async def stands(pool, at):
    async with pool.acquire() as connection:
        return await open_alerts(connection, at, kinds=[AlertKind.ERROR_RATE])


async def snoozed(pool, alert_id, until, at):
    async with pool.acquire() as connection, connection.transaction():
        return await snooze(connection, ME, alert_id, until, at, reason="the upstream knows")


async def test_while_it_is_snoozed_nothing_is_mailed_and_what_stands_afterwards_is_told_once(own):
    acme, (service, _), at = await customer(own), await weather(own), now()
    ids = (service,)
    await failing(own, ids, acme.id, at)
    assert (await look(own, at)).mails == 1
    (one,) = await stands(own, at)
    await snoozed(own, one.id, at + HOURS[8], at)
    async with own.acquire() as connection:
        assert await count_awake(connection, at, 10) == 0
    (shown,) = await stands(own, at)
    assert (shown.level, shown.snooze_reason, shown.snoozed(at)) == (100, "the upstream knows", True)
    assert (await look(own, at + HOURS[3])).armed == 1
    await failing(own, ids, acme.id, at + HOURS[4])
    told = await look(own, at + HOURS[4])
    assert (told.levels, told.mails) == (1, 0), "it rose again, and is shown"
    assert (await look(own, at + HOURS[4])).levels == 0
    (again,) = await stands(own, at + HOURS[4])
    assert again.raised_at == again.since > one.since
    await failing(own, ids, acme.id, at + HOURS[8])
    assert len(await mails(own)) == 1
    told = await asyncio.gather(*(look(own, at + HOURS[8]) for _ in range(3)))
    assert sum(each.mails for each in told) == 1, "of many that look when the time has come one tells"
    assert (await look(own, at + HOURS[8])).mails == 0
    assert len(await mails(own)) == 2
    async with own.acquire() as connection:
        assert await count_awake(connection, at + HOURS[8], 10) == 1


async def test_what_was_mailed_before_it_was_snoozed_is_not_mailed_again_afterwards(own):
    acme, (service, _), at = await customer(own), await weather(own), now()
    await failing(own, (service,), acme.id, at)
    await look(own, at)
    (one,) = await stands(own, at)
    await snoozed(own, one.id, at + timedelta(minutes=10), at)
    assert (await look(own, at + timedelta(minutes=20))).mails == 0
    assert len(await stands(own, at)) == 1


async def test_what_is_over_when_the_time_has_come_is_not_told(own):
    acme, (service, _), at = await customer(own), await weather(own), now()
    await failing(own, (service,), acme.id, at)
    await look(own, at, email="")
    (one,) = await stands(own, at)
    await snoozed(own, one.id, at + HOURS[8], at)
    await look(own, at + HOURS[3])
    await failing(own, (service,), acme.id, at + HOURS[4])
    await look(own, at + HOURS[4])
    await look(own, at + HOURS[7])
    assert (await look(own, at + HOURS[9])).mails == 0
    assert await mails(own) == []


async def test_who_wakes_it_is_told_by_the_next_look(own):
    acme, (service, _), at = await customer(own), await weather(own), now()
    await failing(own, (service,), acme.id, at)
    await look(own, at)
    (one,) = await stands(own, at)
    await snoozed(own, one.id, at + HOURS[8], at)
    await look(own, at + HOURS[3])
    await failing(own, (service,), acme.id, at + HOURS[4])
    await look(own, at + HOURS[4])
    async with own.acquire() as connection, connection.transaction():
        await wake(connection, ME, one.id, at + HOURS[4] + timedelta(minutes=1), reason="mine now")
    assert (await look(own, at + HOURS[4] + timedelta(minutes=2))).mails == 1
    async with own.acquire() as connection:
        with pytest.raises(Conflict, match="not snoozed"):
            await wake(connection, ME, one.id, at + HOURS[5], reason="again")
        rows = await connection.fetch(
            "select verb, object_id, reason from audit_entry where verb like 'alert.%' order by 1"
        )
    assert [tuple(row) for row in rows] == [
        ("alert.snooze", str(one.id), "the upstream knows"),
        ("alert.wake", str(one.id), "mine now"),
    ]  # fmt: skip


async def test_a_look_that_read_the_alert_before_it_was_snoozed_mails_nothing(own, monkeypatch):
    acme, (service, _), at = await customer(own), await weather(own), now()
    await failing(own, (service,), acme.id, at)
    await look(own, at)
    (one,) = await stands(own, at)
    await look(own, at + HOURS[3])
    await failing(own, (service,), acme.id, at + HOURS[4])
    read = looking.states_about

    async def read_while_somebody_snoozes(connection, kinds, subjects):
        found = await read(connection, kinds, subjects)
        await own.execute(
            "update alert_state set snoozed_until = $2, changes = changes + 1 where id = $1", one.id, at + HOURS[8]
        )
        return found

    monkeypatch.setattr(looking, "states_about", read_while_somebody_snoozes)
    told = await look(own, at + HOURS[4])
    assert (told.levels, told.mails) == (0, 0)
    monkeypatch.undo()
    told = await look(own, at + HOURS[4])
    assert (told.levels, told.mails) == (1, 0)


async def test_what_cannot_be_snoozed_is_said(own):
    acme, at = await customer(own, "1/month"), now()
    await acme.used(own, 1)
    await acme.look(own)
    await answered(own, acme.id, (), 5, at, cost_micro=MICRO)
    await look(own, at, organization_cost="5")
    async with own.acquire() as connection:
        theirs, ours = (
            await open_alerts(connection, at, kinds=[AlertKind.USAGE]),
            await open_alerts(connection, at, kinds=[AlertKind.DAY_COST]),
        )
    with pytest.raises(Conflict, match="Customers are told"):
        await snoozed(own, theirs[0].id, at + HOURS[1], at)
    for until in (at, at - HOURS[1], at + LONGEST + HOURS[1]):
        with pytest.raises(InvalidValue, match="within 30 days"):
            await snoozed(own, ours[0].id, until, at)
    with pytest.raises(NotFound):
        await snoozed(own, acme.id, at + HOURS[1], at)
    tomorrow = at + timedelta(days=1)
    with pytest.raises(Conflict, match="is over"):
        await snoozed(own, ours[0].id, tomorrow + HOURS[1], tomorrow)


async def test_what_ended_is_shown_for_a_day(own):
    acme, (service, _), at = await customer(own), await weather(own), now().replace(hour=12)
    await failing(own, (service,), acme.id, at)
    await answered(own, acme.id, (), 5, at, cost_micro=MICRO)
    await look(own, at, organization_cost="5")
    kinds = [AlertKind.ERROR_RATE, AlertKind.DAY_COST]
    async with own.acquire() as connection:
        assert await ended_alerts(connection, at, kinds) == []
        await look(own, at + HOURS[3], organization_cost="5")
        (left,) = await ended_alerts(connection, at + HOURS[3], kinds)
        assert (left.kind, left.level, left.raised_level, left.raised_at) == ("error_rate", 0, 100, at)
        assert left.ended_at == at + HOURS[3]
        midnight = (at + timedelta(days=1)).replace(hour=0, minute=0, second=0, microsecond=0)
        later = midnight + HOURS[1]
        first, second = await ended_alerts(connection, later, kinds)
        assert (first.kind, first.ended_at, second.id) == ("day_cost", midnight, left.id)
        assert await ended_alerts(connection, later, kinds, organization_id=acme.id) == [first]
        assert await ended_alerts(connection, midnight + timedelta(days=2), kinds) == []
        assert (await fetch_alert(connection, left.id)).id == left.id
