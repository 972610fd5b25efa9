"""What credits went for: by day, service, operation and key, from summaries of usage, which are about a minute behind."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from typing import Any
from uuid import UUID

from domain.access import Access, Permission
from domain.ingesting.grains import EVERY
from domain.log_store.old_rollups import Asked, Range, everywhere
from domain.log_store.store import LogStore
from domain.snapshots import NO_ID

MOST_DAYS = 90
MOST_SPENDERS = 10
RATE_DAYS = 7
_DAY = timedelta(days=1)
_CANDIDATES = 40
"""Keys that cost most by whole weeks, of which the first MOST_SPENDERS by days are shown."""
_OF_DAYS = "organization_id = $1 and grain = 'day' and bucket >= $2 and cost_micro > 0"
_FIGURES = "sum(cost_micro)::bigint as spent, sum(requests)::bigint as requests"
# Summaries, not rollups: what is read must not grow with the number of keys.
_SPENT = f"""
select 'day' as part, bucket, null::uuid as service_id, null::uuid as operation_id, null::uuid as key_id, {_FIGURES}
  from usage_summary where {_OF_DAYS} and key_id = $3 and service_id = $3 and operation_id = $3 group by bucket
union all
select 'service', null, service_id, null, null, {_FIGURES}
  from usage_summary where {_OF_DAYS} and key_id = $3 and service_id <> $3 and operation_id = $3 group by service_id
union all
select 'operation', null, service_id, operation_id, null, {_FIGURES} from usage_summary
 where {_OF_DAYS} and key_id = $3 and service_id <> $3 and operation_id <> $3 group by service_id, operation_id
"""
_KEYS = f"""
select array(select key_id from usage_summary where organization_id = $1 and grain = 'week' and cost_micro > 0
                and bucket >= date_trunc('week', $2::timestamptz, 'UTC') and key_id <> $3
              group by key_id order by sum(cost_micro) desc, key_id limit {_CANDIDATES})
"""
# What was counted of one rollup after it had left PostgreSQL is one with it here.
_SPENT_BY_KEYS = f"""
select 'key' as part, null::uuid as service_id, null::uuid as operation_id, key_id, {_FIGURES} from (
    select key_id, sum(r.cost_micro) as cost_micro, sum(r.requests) as requests
      from generate_series($2::timestamptz, now(), interval '1 day') as d (day) cross join lateral ({{rollups}} offset 0) as r
     group by key_id, r.service_id, r.operation_id, r.bucket, r.status_class having sum(r.cost_micro) > 0) as part
 group by key_id
"""
_BY = frozenset({"key_id", "service_id", "operation_id", "bucket", "status_class"})
_RECEIVED = """
select date_trunc('day', created_at at time zone 'UTC')::date as day, sum(amount_micro)::bigint as received
  from credit_entry
 where organization_id = $1 and created_at >= $2 and type <> 'usage' and credit = 'credits' group by 1
"""
_RATE = """
select coalesce(sum(cost_micro), 0)::bigint as spent, min(bucket) as first from usage_summary
 where organization_id = $1 and grain = 'hour' and bucket >= $2 and cost_micro > 0
   and key_id = $3 and service_id = $3 and operation_id = $3
"""
_NAMES = """
select id, slug as name from service where id = any($2)
union all select id, name from operation where id = any($2)
union all select id, name from api_key where id = any($2) and organization_id = $1
"""


@dataclass(frozen=True, slots=True)
class DayOfCredits:
    """Micro-credits of one UTC day: spent on requests, and received (bought, given, refunded, corrected upwards)."""

    day: date
    spent_micro: int
    received_micro: int


@dataclass(frozen=True, slots=True)
class Spender:
    """Something that credits were spent on. `name` is empty if it is gone, or none was declared."""

    name: str
    spent_micro: int
    requests: int


@dataclass(frozen=True, slots=True)
class Rate:
    """What a day costs at the rate of the last days; `days_left` is None where nothing is spent."""

    micro_a_day: int
    days_left: int | None


@dataclass(frozen=True, slots=True)
class CreditStatistics:
    """Days in order, without a gap, the present one last; spenders by what they cost, most first."""

    days: list[DayOfCredits]
    services: list[Spender]
    operations: list[Spender]
    keys: list[Spender]

    @property
    def spent_micro(self) -> int:
        """Of all days."""
        return sum(day.spent_micro for day in self.days)

    @property
    def received_micro(self) -> int:
        """Of all days."""
        return sum(day.received_micro for day in self.days)


async def read_statistics(
    connection: Any, access: Access, days: int, logs: LogStore, *, now: datetime | None = None
) -> CreditStatistics:
    """Of the last `days` UTC days, 1 to MOST_DAYS, with today. Raises Forbidden, and what the log store raises."""
    access.require(Permission.BILLING_VIEW)
    today = (now or datetime.now(UTC)).astimezone(UTC).replace(hour=0, minute=0, second=0, microsecond=0)
    first = today - (min(max(days, 1), MOST_DAYS) - 1) * _DAY
    rows = await connection.fetch(_SPENT, access.organization_id, first, EVERY)
    rows += await _spent_by_keys(connection, access.organization_id, first, logs)
    received = dict(await connection.fetch(_RECEIVED, access.organization_id, first))
    spent = {row["bucket"].date(): row["spent"] for row in rows if row["part"] == "day"}
    dates = [(first + number * _DAY).date() for number in range((today - first).days + 1)]
    parts = {part: _most(rows, part) for part in ("service", "operation", "key")}
    ids = {
        row[column] for part in parts.values() for row in part for column in ("service_id", "operation_id", "key_id")
    }
    names = dict(await connection.fetch(_NAMES, access.organization_id, list(ids - {None, NO_ID})))
    return CreditStatistics(
        [DayOfCredits(day, spent.get(day, 0), received.get(day, 0)) for day in dates],
        [_spender(row, names.get(row["service_id"], "")) for row in parts["service"]],
        [_spender(row, _operation_name(row, names)) for row in parts["operation"]],
        [_spender(row, names.get(row["key_id"], "")) for row in parts["key"]],
    )


async def _spent_by_keys(connection: Any, organization_id: UUID, first: datetime, logs: LogStore) -> list[Any]:
    keys = await connection.fetchval(_KEYS, organization_id, first, EVERY)
    asked = Asked([organization_id], [Range("day", first, datetime.max.replace(tzinfo=UTC))], _BY, keys, latency=False)
    old = await logs.rollups(connection, asked)
    rollups = everywhere(
        old, "grain = 'day' and bucket = d.day", "organization_id = $1 and key_id = any($3)", "$4::bigint", "$5::text"
    )
    more = (old.sent, old.rows) if old else ()
    return list(await connection.fetch(_SPENT_BY_KEYS.format(rollups=rollups), organization_id, first, keys, *more))


async def read_rate(connection: Any, access: Access, available_micro: int, *, now: datetime | None = None) -> Rate:
    """How long what is available lasts, if the days go on as the last RATE_DAYS did (or those since the first)."""
    access.require(Permission.BILLING_VIEW)
    moment = now or datetime.now(UTC)
    row = await connection.fetchrow(_RATE, access.organization_id, moment - RATE_DAYS * _DAY, EVERY)
    if not row["spent"]:
        return Rate(0, None)
    elapsed = min(max(moment - row["first"], _DAY), RATE_DAYS * _DAY)
    a_day = max(1, row["spent"] * 86_400 // int(elapsed.total_seconds()))
    return Rate(a_day, max(0, available_micro) // a_day)


def _most(rows: Sequence[Any], part: str) -> list[Any]:
    return sorted((row for row in rows if row["part"] == part), key=lambda row: -row["spent"])[:MOST_SPENDERS]


def _spender(row: Any, name: str) -> Spender:
    return Spender(name, row["spent"], row["requests"])


def _operation_name(row: Any, names: dict[Any, str]) -> str:
    service, operation = names.get(row["service_id"], ""), names.get(row["operation_id"], "")
    return f"{service}: {operation}" if service and operation else operation or service
