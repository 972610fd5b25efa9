"""A plan's draft replayed over days that are in ClickHouse: the same figures as if PostgreSQL had kept them."""

import random
from dataclasses import replace
from datetime import timedelta

import pytest

from domain.limit_texts import parse_limits
from domain.log_store.clickhouse_logs import ClickHouseLogs
from domain.log_store.leaving import leave_postgres
from domain.log_store.outbox import adopt
from domain.log_store.store import POSTGRES
from domain.partitions import ensure_partitions, present_days
from domain.plan_prices import parse_price
from domain.what_if.drafts import Changes, read_draft
from domain.what_if.replaying import what_if
from domain.what_if.scopes import Scope
from tests.clickhouse.moving import send_all
from tests.histories import DAY, NOW, history_of, plan_of, sold_to

DAYS = 6
SINCE = (NOW - timedelta(days=DAYS)).replace(hour=0, minute=0)
EMPTY = 3


async def replayed(database, logs, days=DAYS):
    changes = Changes(limits=parse_limits(["2/hour", "2 concurrent"]), prices=[parse_price("weather:history=0.3")])
    draft = await read_draft(database, "starter", changes)
    found = await what_if(database, draft, Scope(days=days, plan="starter"), logs, now=NOW)
    return replace(found, seconds=0.0)


@pytest.fixture
async def late(database, monkeypatch):
    """A history of six days, one of them without a request; rows of the oldest that come later are not stored yet."""
    monkeypatch.setattr("domain.what_if.history.ROWS_AT_ONCE", 7)
    monkeypatch.setattr("domain.log_store.old_requests.ROWS_AT_ONCE", 11)
    dice, history = random.Random(3), await history_of(database)
    await plan_of(database, "starter", "4/hour", "9/second", price_cents=900)
    await ensure_partitions(database, (SINCE - timedelta(days=1)).date(), NOW.date())
    for name in ("Acme", "Bolt", "Cask"):
        owner = await sold_to(database, "starter", name, credits_=20_000_000)
        for number in range(90):
            ago = dice.choice([ago for ago in range(DAYS) if ago != EMPTY])
            hour = dice.choice((0, 5, 22, 23))
            begun = DAY - timedelta(days=ago) + timedelta(hours=hour, seconds=dice.random() * 900)
            kind = dice.randrange(9)
            # Some end on the next day, or long after those that began later.
            took = dice.choice((1_000, 400_000, 7_000_000, 5_000_000_000 if ago < DAYS - 1 and ago != EMPTY + 1 else 9))
            if kind < 6:
                history.ask(owner, begun, dice.choice(("forecast", "history")), total_us=took, cost_micro=100_000)
            elif kind < 8:
                history.refused(owner, begun, dice.choice(("rate_limited", "scope_missing")), limit_name="hour")
            else:
                history.ask(owner, begun, None, status=502, outcome="failed", upstream_us=None)
            if name == "Acme" and number == 59:
                await history.written()
    rows, history.rows = history.rows[::5], [row for place, row in enumerate(history.rows) if place % 5]
    await history.written()
    history.rows = rows
    return history


async def test_the_figures_are_those_of_a_postgres_that_kept_its_days(database, turned_on, late):
    logs, without = ClickHouseLogs(turned_on), await replayed(database, POSTGRES)
    assert await replayed(database, logs) == without
    rows = list(late.rows)
    await late.written()
    whole = await replayed(database, POSTGRES)
    assert whole.exact_since == SINCE
    assert (whole.totals.estimated, whole.totals.organizations) == (0, 3)
    assert whole.rows > without.rows > 100
    assert whole.totals.draft.refused.least > whole.totals.now.refused.least > 0
    await database.execute("delete from request_log where id = any($1::uuid[])", [row[0] for row in rows])
    await adopt(database, turned_on)
    await send_all(database, turned_on)
    done = await leave_postgres(database, turned_on, NOW, 1)
    assert len(done.dropped) == DAYS
    assert await replayed(database, logs) == without
    alone = await replayed(database, POSTGRES)
    assert (alone.exact_since, alone.rows < without.rows) == (DAY, True)
    # Rows of days that are gone make these anew here: not sent, on their way, and gone again.
    late.rows = rows
    await late.written()
    await adopt(database, turned_on)
    assert await replayed(database, logs) == whole
    await send_all(database, turned_on)
    assert await replayed(database, logs) == whole
    await leave_postgres(database, turned_on, NOW, 1)
    assert min(await present_days(database)) == DAY.date()
    assert await replayed(database, logs) == whole
    assert await replayed(database, logs, days=2) != whole


async def test_days_that_nobody_has_whole_are_estimated_as_before(database, turned_on, late):
    await adopt(database, turned_on)
    await send_all(database, turned_on)
    await leave_postgres(database, turned_on, NOW, 1)
    # One whole, of the other a row.
    logs = ClickHouseLogs(turned_on)
    assert (await replayed(database, logs)).exact_since == SINCE
    gone = (DAY - timedelta(days=4)).date()
    await turned_on.execute(f"alter table request_log drop partition id '{gone:%Y%m%d}'")
    assert (await replayed(database, logs)).exact_since == DAY - timedelta(days=EMPTY)
    day = (DAY - timedelta(days=2)).date()
    await turned_on.execute(
        "alter table request_log delete where id = (select min(id) from request_log where toDate(at) = {day:Date})"
        " settings mutations_sync = 2", {"day": day},
    )  # fmt: skip
    found = await replayed(database, logs)
    assert found.exact_since == DAY - timedelta(days=1)
