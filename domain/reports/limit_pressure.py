"""Who is close to which limit now: what the window that runs holds, from sums of usage, in percent of the limit.

Limits of seconds and minutes are over before anybody has read of them and are left out, as are caps of requests in progress.
"""

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any

from domain.ingesting.grains import EVERY
from domain.reports.limit_candidates import Candidate, at_most_of_others, find_candidates
from domain.reports.shapes import Column, Fact, Named, Report, ReportChoice
from domain.reports.windows import DAY, floor
from domain.reports.words import id_text, log_filters, percent, read_names, up_to
from domain.snapshots import NO_ID
from domain.usage_reading import MOST as MOST_UNITS

MOST_BY_KEY = 30
"""Limits of each key that are looked at: each costs a look at its organization's keys."""
KEYS_OF_EACH = 3

_RANGES = "unnest($1::int[], $2::uuid[], $3::uuid[], $4::uuid[], $5::timestamptz[], $6::timestamptz[])"
_NAMES = "(place, organization_id, service_id, operation_id, since, days)"
_WINDOW = "((grain = 'hour' and bucket >= x.since and bucket < x.days) or (grain = 'day' and bucket >= x.days))"
_GRAINS = """
    select {what} from {table} where organization_id = x.organization_id and grain = 'hour' and bucket >= x.since
       and bucket < x.days {more}
    union all
    select {what} from {table} where organization_id = x.organization_id and grain = 'day' and bucket >= x.days {more}
"""
_TOTAL = _GRAINS.format(
    what="requests - refused as n",
    table="usage_summary",
    more=f"and key_id = '{EVERY}' and service_id = x.service_id and operation_id = x.operation_id",
)
_REQUESTS = f"""
select x.place, coalesce(sum(r.n), 0)::bigint as used from {_RANGES} as x {_NAMES}
  cross join lateral (select * from ({_TOTAL}) as t offset 0) as r group by x.place
"""
_BY_OPERATION = _GRAINS.format(
    what="operation_id, requests - refused as n",
    table="usage_summary",
    more=f"""and key_id = '{EVERY}' and service_id <> '{EVERY}' and operation_id <> '{EVERY}'
       and x.service_id in ('{EVERY}', service_id) and x.operation_id in ('{EVERY}', operation_id)""",
)
_UNITS = f"""
with sold as materialized (
    select v.id, c.key::uuid as operation_id, c.value::bigint as units
      from plan_version v, jsonb_each_text(v.terms->'quota_costs') as c where v.id = any($8::uuid[])
)
select x.place, least(coalesce(sum(r.n::numeric * coalesce(v.units, c.quota_cost, o.quota_cost, 1)), 0), {MOST_UNITS})::bigint as used
  from {_RANGES} as x {_NAMES} cross join lateral (select * from ({_BY_OPERATION}) as t offset 0) as r
  left join operation o on o.id = r.operation_id
  left join plan_price c on c.operation_id = r.operation_id and c.plan_id = ($7::uuid[])[x.place + 1]
  left join sold v on v.operation_id = r.operation_id and v.id = ($8::uuid[])[x.place + 1]
 group by x.place
"""
_OF_KEYS = _GRAINS.format(
    what="key_id, requests - refused as n",
    table="usage_rollup",
    more=f"""and key_id = any(k.keys) and x.service_id in ('{EVERY}', service_id)
       and x.operation_id in ('{EVERY}', operation_id)""",
)
_BY_KEY = f"""
select x.place, r.key_id, sum(r.n)::bigint as used
  from {_RANGES} as x {_NAMES} cross join lateral (
       select array_agg(key_id) as keys from (
           select key_id from usage_summary where organization_id = x.organization_id and grain = 'week'
              and bucket >= date_trunc('week', x.since, 'UTC') and key_id <> '{EVERY}'
            group by key_id order by sum(requests - refused) desc, key_id limit {KEYS_OF_EACH}) as busiest) as k
  cross join lateral (select * from ({_OF_KEYS}) as t offset 0) as r
 group by 1, 2 order by 1, 3 desc
"""
_COLUMNS = (
    Column("organization", "Organization", "organization"),
    Column("plan", "Plan", "plan"),
    Column("limit", "Limit", "text"),
    Column("of", "Of", "text"),
    Column("key", "Key", "key"),
    Column("used", "Used", "count"),
    Column("amount", "Limit's amount", "count"),
    Column("used_share", "Used", "percent"),
    Column("mode", "Mode", "text"),
    Column("since", "Window began", "moment"),
)
_SHARE = 7


async def limit_pressure(connection: Any, choice: ReportChoice) -> Report:
    """Those that have used the largest share first."""
    now, organization = choice.window.now, choice.organization.id if choice.organization else None
    candidates = await find_candidates(connection, now, organization)
    shared = [one for one in candidates if one.scope == "organization"]
    by_key = [one for one in candidates if one.scope == "key"][:MOST_BY_KEY]
    used = [(one, None, count) for one, count in await _used(connection, shared)]
    used += await _used_by_keys(connection, by_key)
    ids = [id_ for one, key, _ in used for id_ in (one.service_id, one.operation_id, key) if id_ is not None]
    names = await read_names(connection, ids)
    rows = [(_row(one, names.of("key", key) if key else None, count, names), one) for one, key, count in used if count]
    rows.sort(key=lambda pair: (-(pair[0][_SHARE] or 0), pair[0][0].detail, pair[0][2]))
    shown = rows[: choice.limit]
    least = at_most_of_others(candidates)
    return Report(
        slug="limit-pressure",
        title="Limit pressure",
        sentence="What limits and quotas by the hour, day and month count in the window that runs now (a month from the hour in"
        " which it began), from sums of usage, without those that are nearly unused; of each key, the busiest three. Requests that were paid for beyond a quota count"
        " too."
        + (f" All others have used at most {percent(least, 1)} %." if least is not None else "")
        + f" {await up_to(connection, choice)}",
        columns=_COLUMNS,
        rows=tuple(row for row, _ in shown),
        filters=tuple(_filters(choice, row, one, now) for row, one in shown),
        facts=tuple(
            Fact(
                f"over_{share}",
                f"At {share} % and more",
                "count",
                sum(1 for row, _ in rows if (row[_SHARE] or 0) >= share),
            )
            for share in (80, 100)
        ),
        more=len(rows) > choice.limit,
    )


async def _used(connection: Any, candidates: Sequence[Candidate]) -> list[tuple[Candidate, int]]:
    """What each limit of a whole organization has counted."""
    requests = [one for one in candidates if one.unit == "requests"]
    units = [one for one in candidates if one.unit == "quota"]
    counts = dict(await connection.fetch(_REQUESTS, *_ranges(requests)))
    terms = [one.plan.id for one in units], [one.plan_version_id for one in units]
    unit_counts = dict(await connection.fetch(_UNITS, *_ranges(units), *terms)) if units else {}
    return [(one, counts.get(place, 0)) for place, one in enumerate(requests)] + [
        (one, unit_counts.get(place, 0)) for place, one in enumerate(units)
    ]


async def _used_by_keys(connection: Any, candidates: Sequence[Candidate]) -> list[tuple[Candidate, Any, int]]:
    if not candidates:
        return []
    rows = await connection.fetch(_BY_KEY, *_ranges(candidates))
    return [(candidates[row["place"]], row["key_id"], row["used"]) for row in rows if row["key_id"] != NO_ID]


def _ranges(candidates: Sequence[Candidate]) -> tuple[list[Any], ...]:
    """Each one's hours, and the days from the first midnight on."""
    firsts = [floor(one.since, "hour") for one in candidates]
    return (
        list(range(len(candidates))),
        [one.organization.id for one in candidates],
        [one.service_id or EVERY for one in candidates],
        [one.operation_id or EVERY for one in candidates],
        firsts,
        [_days_from(one.period, first) for one, first in zip(candidates, firsts, strict=True)],
    )


def _days_from(period: str, first: datetime) -> datetime:
    midnight = floor(first, "day")
    if period == "hour":
        return first + timedelta(days=2)
    return midnight if midnight == first else midnight + DAY


def _row(one: Candidate, key: Named | None, count: int, names: Any) -> tuple[Any, ...]:
    of = [
        names.of(kind, id_).name for kind, id_ in (("service", one.service_id), ("operation", one.operation_id)) if id_
    ]
    return (
        one.organization,
        one.plan,
        f"{one.name} ({one.amount}/{one.period}{', units' if one.unit == 'quota' else ''})",
        ": ".join(of) or None,
        key,
        count,
        one.amount,
        percent(count, one.amount),
        "shadow" if one.shadow else "enforced",
        one.since,
    )


def _filters(choice: ReportChoice, row: tuple[Any, ...], one: Candidate, now: datetime) -> Any:
    more = {"from": one.since.isoformat(), "to": now.isoformat(), "organization": one.organization.detail}
    return log_filters(choice, **more, key=id_text(row[4]) if row[4] else None)
