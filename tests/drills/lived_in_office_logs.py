"""Request logs of all organizations of a large installation: three days, evenly; nearly a third of them of organization 1."""

import dataclasses
from datetime import UTC, date, datetime, timedelta
from typing import Any

from domain.partitions import partition_name
from domain.snapshots import LimitSnapshot
from tests.drills.lived_in_logs import AGENTS, KINDS, SPAN, TABLE, days_of, decisions_of, thresholds

LIMIT = "day"
UNKNOWN = next(place for place, kind in enumerate(KINDS, 1) if kind.refusal == "invalid_api_key")
"""Whose rows have no organization and no key."""

_KINDS = tuple(dataclasses.replace(kind, limit_name=LIMIT) if kind.limit_name else kind for kind in KINDS)
_ROWS = """
insert into {name} (id, at, organization_id, key_id, service_id, operation_id, method, path, query, status, outcome, refusal,
    limit_name, upstream_us, total_us, bytes_in, bytes_out, client, user_agent, cost_micro, trace_id, created_at, decision)
select (lpad(to_hex((extract(epoch from at) * 1000)::bigint - total_us / 1000), 12, '0') || '7' || substr(h, 1, 3) || '8'
           || substr(h, 4, 15))::uuid,
       at, case when s <> {unknown} then md5('o' || n)::uuid end,
       case when s <> {unknown} then md5('k' || case when n = 1 then 5 * {organizations} - floor({organizations} / 5 * power(r, 3))
           else n - 1 + {organizations} * (i % 4) end)::uuid end,
       md5('s' || o % 20)::uuid, md5('p' || o)::uuid, 'GET', '/s' || o % 20 || '/v1/' || o,
       case when i % 3 = 0 then '' else 'q=' || i % 101 || '&limit=20&token=***' end,
       ($1::int[])[s], ($2::text[])[s], ($3::text[])[s], ($4::text[])[s],
       case when ($2::text[])[s] = 'refused' then null else total_us - 300 end, total_us, i % 900, 200 + i * 7 % 9000,
       '198.51.100.0'::inet + i % 250, ($5::text[])[1 + i % {agents}],
       case when ($2::text[])[s] = 'served' and ($1::int[])[s] < 400 then 1000 else 0 end,
       case when i % 5 = 0 then h end, at + interval '80 ms', ($6::bytea[])[s]
  from (select i, $7::timestamptz + (i - $8) * $9::interval as at, md5(i::text) as h, random() as r,
               case when random() < 0.3 then 1 else 1 + floor({organizations} * power(random(), 3))::int end as n,
               floor(1000 * power(random(), 2))::int as o, 1 + width_bucket(random(), $10::float8[]) as s,
               (case when random() < 0.02 then 400000 else 9000 end * exp(1.1 * (random() + random() - 1)))::bigint as total_us
          from generate_series($8::bigint, $11::bigint) as i offset 0) as x
"""


async def write_logs(connection: Any, organizations: int, rows: int, now: datetime) -> None:
    """Write `rows` rows over the three days before `now`, each day's partition filled before it is indexed."""
    first, step, done = now - SPAN, SPAN / rows, 0
    traces = await _traces(connection)
    for day in days_of(first, now):
        until = min(datetime.combine(day + timedelta(days=1), datetime.min.time(), UTC), now)
        last = min(rows, -int((first - until) // step)) - 1
        if last < done:
            continue
        name = partition_name(day)
        await connection.execute(f"drop table if exists {name}")
        await connection.execute(TABLE.format(name=name))
        await connection.execute(
            _ROWS.format(name=name, agents=len(AGENTS), organizations=organizations, unknown=UNKNOWN),
            [kind.status for kind in _KINDS],
            [kind.outcome for kind in _KINDS],
            [kind.refusal for kind in _KINDS],
            [kind.limit_name for kind in _KINDS],
            list(AGENTS),
            traces,
            first + done * step,
            done,
            step,
            thresholds(),
            last,
            timeout=3600,
        )
        await _attach(connection, name, day)
        done = last + 1


async def _attach(connection: Any, name: str, day: date) -> None:
    end = day + timedelta(days=1)
    statement = f"alter table request_log attach partition {name} for values from ('{day}') to ('{end}')"
    await connection.execute(statement, timeout=3600)


async def _traces(connection: Any) -> list[bytes]:
    plan_id = await connection.fetchval("select id from plan where slug = 'plan-1'")
    rows = await connection.fetch(
        "select id, name, amount, period, scope, shadow from plan_limit where plan_id = $1 order by name", plan_id
    )
    return decisions_of(plan_id, [LimitSnapshot(**row) for row in rows], _KINDS)
