"""The end of request logs where they go to the log store: days leave PostgreSQL once the log store has all of them, and
the log store once nobody needs them. Whole partitions, here as there, and never rows one by one.

A day leaves PostgreSQL only after it was compared with the log store: the number of its rows, what they
cost, and what they took. So what the ledger was charged with is what the log store has.
"""

from datetime import UTC, date, datetime, timedelta
from typing import Any

from domain.lifecycle import LIVE
from domain.log_dropping import Dropping, drop_day, reason_needed
from domain.log_store.clickhouse import SLOW_SECONDS, ClickHouse, micros
from domain.log_store.outbox import adopt
from domain.partitions import partition_name, present_days

_HERE = """
select count(*) as rows, coalesce(sum(cost_micro), 0)::bigint as cost, coalesce(sum(total_us), 0)::bigint as took,
       min(created_at) as since, max(created_at) as until
  from {table}
"""
_THERE = """
select count(), sum(cost_micro), sum(total_us) from request_log
 where at >= fromUnixTimestamp64Micro({first:Int64}, 'UTC') and at < fromUnixTimestamp64Micro({next:Int64}, 'UTC')
   and created_at >= fromUnixTimestamp64Micro({since:Int64}, 'UTC')
   and created_at <= fromUnixTimestamp64Micro({until:Int64}, 'UTC')
"""
_DAYS = "select distinct partition_id from system.parts where active and database = currentDatabase() and table = 'request_log'"
_OWNERS = """
select distinct toString(organization_id) from request_log
 where at >= fromUnixTimestamp64Micro({first:Int64}, 'UTC') and at < fromUnixTimestamp64Micro({next:Int64}, 'UTC')
"""
_WANTED = f"""
select p.slug from subscription s join plan p on p.id = s.plan_id
 where p.log_days >= $1 and (s.state in {LIVE} or s.ended_at > $2::timestamptz - p.log_days * interval '24 hours')
   and s.organization_id = any($3::uuid[])
 order by p.log_days desc limit 1
"""


async def leave_postgres(connection: Any, store: ClickHouse, now: datetime, days: int) -> Dropping:
    """Drop PostgreSQL's tables of what is older than `days` whole UTC days and stands in the log store to the row.

    Raises LogStoreAway, LogStoreRefused. `connection` is in no transaction.
    """
    done = Dropping([], {})
    today, adopted = now.astimezone(UTC).date(), False
    for day in await present_days(connection):
        if (today - day).days <= days:
            break
        reason = await reason_needed(connection, day)
        if not reason and (reason := await _missing(connection, store, day)) and not adopted:
            # Rows that no batch names, or that somebody took out of the log store: they are sent again.
            await adopt(connection, store)
            adopted = True
        if reason := reason or await drop_day(connection, day):
            done.kept[day] = reason
        else:
            done.dropped.append(day)
    return done


async def expire(connection: Any, store: ClickHouse, now: datetime, days: int) -> Dropping:
    """Drop the log store's days that are older than everybody's and than those of every plan that has rows in them."""
    done = Dropping([], {})
    today = now.astimezone(UTC).date()
    for day in await stored_days(store):
        age = (today - day).days
        if age <= days:
            break
        owners = [row[0] for row in await store.rows(_OWNERS, _bounds(day), seconds=SLOW_SECONDS)]
        if plan := await connection.fetchval(_WANTED, age, now, owners):
            done.kept[day] = f"plan {plan} keeps it"
            continue
        await store.execute(f"alter table request_log drop partition id '{day:%Y%m%d}'")
        done.dropped.append(day)
    return done


async def stored_days(store: ClickHouse) -> list[date]:
    """The days that the log store has, oldest first."""
    rows = await store.rows(_DAYS)
    return sorted(datetime.strptime(row[0], "%Y%m%d").replace(tzinfo=UTC).date() for row in rows)


async def _missing(connection: Any, store: ClickHouse, day: date) -> str:
    """Why the day has to stay; empty if the log store has all of it."""
    here = await connection.fetchrow(_HERE.format(table=partition_name(day)))
    if not here["rows"]:
        return ""
    # Rows of the day that were stored before its table was dropped the last time are none of this table's.
    bounds = {**_bounds(day), "since": micros(here["since"]), "until": micros(here["until"])}
    rows, cost, took = (int(value) for value in (await store.rows(_THERE, bounds, seconds=SLOW_SECONDS))[0])
    if (rows, cost, took) == (here["rows"], here["cost"], here["took"]):
        return ""
    return f"the log store has {rows} rows of it instead of {here['rows']}, or others"


def _bounds(day: date) -> dict[str, int]:
    first = datetime(day.year, day.month, day.day, tzinfo=UTC)
    return {"first": micros(first), "next": micros(first + timedelta(days=1))}
