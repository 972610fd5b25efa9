"""An organization's usage at this moment, and who of those that look may still do so: one bounded query."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields, replace
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

from domain.identity.acting import ROLE
from domain.identity.sessions import ACTING_ROLES
from domain.ingesting.grains import EVERY
from domain.log_reading import LogFilter
from domain.log_store.clickhouse import LogStoreAway, LogStoreRefused
from domain.log_store.store import POSTGRES, LogStore

NEWEST = 10
_MOST_OF_A_MINUTE = 3_000
"""Requests that are counted for the rate; of more, how fast the newest of them came."""

_NEWEST_SINCE = timedelta(days=3)

_LIVE = f"""
with kept as (
    select coalesce(sum(requests), 0)::bigint as requests, coalesce(sum(errors), 0)::bigint as errors
      from usage_summary where organization_id = $1 and grain = 'day' and bucket = $2
       and key_id = '{EVERY}' and service_id = '{EVERY}' and operation_id = '{EVERY}'
), fresh as (
    select count(*) as requests, count(*) filter (where r.status >= 400 or r.outcome in ('failed', 'cut')) as errors
      from usage_unfolded u join request_log r
        on r.created_at = u.stored_at and r.organization_id = $1 and r.at >= (select min(first_at) from usage_unfolded)
     where r.at >= $2 and r.at < $2 + interval '1 day'
), minute as (
    select count(*) as requests, min(at) as first from (
        select at from request_log where organization_id = $1 and at > $3::timestamptz - interval '1 minute' and at <= $3
         order by at desc limit {_MOST_OF_A_MINUTE}) as last
), newest as (
    select json_agg(row_to_json(row) order by at desc, id desc) as rows from (
        select r.id, r.at, r.method, r.path, r.status, r.outcome, r.refusal, r.total_us, r.cost_micro, k.name as key
          from (select * from request_log where organization_id = $1 and at > $3::timestamptz - interval '{_NEWEST_SINCE.days} days'
                   and at <= $3::timestamptz + interval '1 minute' order by at desc limit {NEWEST}) as r
          left join api_key k on k.id = r.key_id and k.organization_id = $1) as row
), viewer as (
    select json_object_agg(seen.id, case when seen.acting then '{ROLE}' else m.role end) as roles
      from (select id, user_id, acting_for is not null as acting from portal_session
             where id = any($4) and expires_at > now() and not awaits_factor and coalesce(acting_for, $1) = $1
            union all
            select id, user_id, false from access_token where id = any($4) and organization_id = $1
               and revoked_at is null and (expires_at is null or expires_at > now())) as seen
      join users u on u.id = seen.user_id and u.active
      left join membership m on m.user_id = seen.user_id and m.organization_id = $1 and not seen.acting
      join organization o on o.id = $1 and o.state <> 'closed'
     where m.role is not null or seen.acting and u.operator_role = any($5)
)
select kept.requests + fresh.requests as requests, kept.errors + fresh.errors as errors, minute.requests as minute,
       minute.first, newest.rows::text as newest, viewer.roles::text as roles,
       (select balance_micro - reserved_micro from credit_account where organization_id = $1) as credits_micro
  from kept, fresh, minute, newest, viewer
"""


@dataclass(frozen=True, slots=True)
class Call:
    """One of the newest requests. Times in microseconds, cost in micro-credits."""

    id: UUID
    at: datetime
    method: str
    path: str
    status: int
    outcome: str
    refusal: str | None
    total_us: int
    cost_micro: int
    key: str | None


_CALL = tuple(field.name for field in fields(Call))


@dataclass(frozen=True, slots=True)
class Live:
    """`requests` and `errors` of the UTC day; `credits_micro` is what can be spent; `newest` begins with the last."""

    at: datetime
    per_second: float
    requests: int
    errors: int
    credits_micro: int
    newest: tuple[Call, ...]
    roles: Mapping[UUID, str]
    """Of those that were asked for: who is still signed in and a member, and as what."""


async def read_live(connection: Any, organization_id: UUID, viewers: Sequence[UUID], now: datetime) -> Live:
    """The organization at `now`. `viewers` are ids of sessions and access tokens."""
    midnight = now.astimezone(UTC).replace(hour=0, minute=0, second=0, microsecond=0)
    row = await connection.fetchrow(_LIVE, organization_id, midnight, now, list(viewers), ACTING_ROLES)
    return Live(
        at=now,
        per_second=_rate(row["minute"], row["first"], now),
        requests=row["requests"],
        errors=row["errors"],
        credits_micro=row["credits_micro"] or 0,
        newest=tuple(_call(values) for values in json.loads(row["newest"] or "[]")),
        roles={UUID(id_): role for id_, role in json.loads(row["roles"] or "{}").items()},
    )


async def read_older(connection: Any, organization_id: UUID, now: datetime, logs: LogStore) -> tuple[Call, ...]:
    """The newest requests of the same days, wherever they are; none where PostgreSQL has all, or the log store is away."""
    if logs is POSTGRES:
        return ()
    wanted = LogFilter(organization_id=organization_id, since=now - _NEWEST_SINCE, until=now + timedelta(minutes=1))
    try:
        found = await logs.newest(connection, wanted, NEWEST)
    except (LogStoreAway, LogStoreRefused, TimeoutError):
        return ()
    return tuple(Call(**{name: getattr(entry, name) for name in _CALL}) for entry in found)


def with_older(live: Live, older: Sequence[Call]) -> Live:
    """The same with what else is among the newest."""
    calls = {call.id: call for call in (*older, *live.newest)}
    return replace(live, newest=tuple(sorted(calls.values(), key=_place, reverse=True)[:NEWEST]))


def _place(call: Call) -> tuple[datetime, int]:
    return call.at, call.id.int


def _rate(count: int, first: datetime | None, now: datetime) -> float:
    if first is None:
        return 0.0
    span = timedelta(minutes=1) if count < _MOST_OF_A_MINUTE else max(now - first, timedelta(milliseconds=1))
    return count / span.total_seconds()


def _call(values: dict[str, Any]) -> Call:
    return Call(**{**values, "id": UUID(values["id"]), "at": datetime.fromisoformat(values["at"])})
