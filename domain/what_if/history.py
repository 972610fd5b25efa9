"""What was asked, as it is stored: rows of request_log, rollups where these are gone, and credits that came and went."""

from collections.abc import AsyncIterator, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any, NamedTuple
from uuid import UUID

from domain.ingesting.grains import EVERY
from domain.log_store.old_requests import HOLD, OldRequests, first_of_all, place_of
from domain.log_store.old_rollups import Asked, Range, everywhere
from domain.log_store.store import LogStore
from domain.partitions import present_days
from domain.refusals import OutOfCredits, QuotaExceeded, RateLimited, SpendCapReached, TooManyAtOnce
from domain.snapshots import NO_ID

DEMAND = frozenset(kind.code for kind in (RateLimited, QuotaExceeded, TooManyAtOnce, OutOfCredits, SpendCapReached))
"""Requests that were refused so were asked for: other terms might have served them."""
ROWS_AT_ONCE = 5_000
_HOURS_KEPT = timedelta(days=89)

_IS_DEMAND = "r.key_id is not null and r.service_id is not null and (r.outcome <> 'refused' or r.refusal = any($4))"
# Of days that the log store has, only what it lacks.
_IS_HERE = "(r.at >= $5 or r.created_at >= $6)"
_NUMBERS = f"""
    select r.organization_id, count(*) as number from request_log r
     where r.organization_id = any($1) and r.at >= $2 and r.at < $3 and {_IS_DEMAND} and {_IS_HERE} group by 1
"""
# Of buckets that lie only in part on these days, that part.
_ABOUT = """
    select coalesce(sum(u.requests * greatest(0, part.within / part.whole)), 0)::bigint
      from organization_usage u,
           lateral (select extract(epoch from least(u.bucket + $5::interval, $6::timestamptz) - u.bucket) as whole,
                           extract(epoch from least(u.bucket + $5::interval, $6::timestamptz, $3::timestamptz)
                                            - greatest(u.bucket, $2::timestamptz)) as within) as part
     where u.grain = $4 and u.bucket > $2::timestamptz - $5::interval and u.bucket < least($3::timestamptz, $6::timestamptz)
       and u.organization_id = any($1)
"""
# How far back `organization_usage` is sure to have all of them; months stay.
_SUMS = (
    ("day", timedelta(days=1), timedelta(days=4)), ("week", timedelta(days=7), timedelta(days=112)),
    ("month", timedelta(days=31), timedelta(days=10_000)),
)  # fmt: skip
# Asked when it began: limits are decided at the head of a request, and `at` is the end of its answer.
_ROWS = f"""
    select o.place, r.key_id, r.service_id, r.operation_id,
           round(date_part('epoch', r.at) * 1000000)::bigint - r.total_us as begun_us, r.total_us, r.status, r.outcome,
           r.refusal, r.upstream_us is not null, r.cost_micro, r.id{{more}}
      from unnest($1::uuid[]) with ordinality as o (id, place) join request_log r on r.organization_id = o.id
     where r.at >= $2 and r.at < $3 and {_IS_DEMAND} and {_IS_HERE}
     order by o.place, begun_us, r.id
"""
_MORE = ", r.bytes_in, r.bytes_out, r.query, r.path"
_HOURS_OR_DAYS = """
    (grain = 'hour' and bucket >= greatest($2::timestamptz, $4::timestamptz) and bucket < $3
     or grain = 'day' and bucket >= $2 and bucket < least($3::timestamptz, $4::timestamptz))
"""
_ROLLUPS = """
    select r.organization_id, r.key_id, r.service_id, r.operation_id, r.bucket, r.grain,
           sum(r.requests)::bigint as requests, sum(r.refused)::bigint as refused, sum(r.cost_micro)::bigint as cost_micro,
           coalesce(sum(r.requests) filter (where r.status_class between 1 and 3), 0)::bigint as good
      from ({rollups}) r where r.service_id <> $5
     group by 1, 2, 3, 4, 5, 6 order by r.organization_id, r.bucket, r.key_id
"""
_BUCKETS = "grain = $2 and bucket >= $3 and bucket < $4"
_USED = """
    select r.key_id, r.service_id, r.operation_id, sum(r.requests - r.refused)::bigint as requests,
           sum(r.cost_micro)::bigint as cost_micro
      from ({source}) r group by 1, 2, 3
"""
_EVERY_KEY = f"""
    select * from usage_summary where organization_id = $1 and {_BUCKETS}
       and key_id = '{EVERY}' and service_id <> '{EVERY}' and operation_id <> '{EVERY}'
"""
_BY_KEY = frozenset({"key_id", "service_id", "operation_id"})
_BY_ALL = _BY_KEY | {"organization_id", "bucket", "status_class"}
_MOVED = """
    select organization_id, round(date_part('epoch', created_at) * 1000000)::bigint as at,
           case when credit = 'credits' then amount_micro else -amount_micro end as micro
      from credit_entry where organization_id = any($1) and created_at >= $2 and type <> 'usage'
     order by organization_id, number
"""
_SPENT = """
    select organization_id, sum(amount_micro)::bigint from credit_entry
     where organization_id = any($1) and created_at >= $2 and type = 'usage' group by 1
"""


class Rolled(NamedTuple):
    """One hour or day of one key and operation. `good` were answered with less than 400."""

    organization_id: UUID
    key_id: UUID
    service_id: UUID
    operation_id: UUID | None
    bucket: datetime
    grain: str
    requests: int
    refused: int
    cost_micro: int
    good: int


class Used(NamedTuple):
    """What was let through of one key (or of all, EVERY) to one operation, and what it was charged."""

    key_id: UUID
    service_id: UUID
    operation_id: UUID | None
    requests: int
    cost_micro: int


class Logged(NamedTuple):
    """From when on requests are known one by one, and those of them that are in the log store."""

    exact_since: datetime
    old: OldRequests | None


async def about_rows(connection: Any, ids: Sequence[UUID], since: datetime, until: datetime, now: datetime) -> int:
    """About how many rows these organizations have on these days: from sums, which may lag for seconds, of weeks or months
    for days of which no others are kept.
    """
    grain, length = next((grain, length) for grain, length, kept in _SUMS if since >= now - kept or grain == "month")
    number: int = await connection.fetchval(_ABOUT, list(ids), since, until, grain, length, now)
    return number


async def logged_from(connection: Any, since: datetime, until: datetime, logs: LogStore) -> Logged:
    """From when on the log has every day; `until` if it has not even the last. In a transaction; raises what the log
    store raises, where PostgreSQL lacks a day.
    """
    await connection.execute(HOLD)
    old = await logs.old_requests(connection, since, until)
    if old is not None:
        return Logged(old.exact_since, old)
    return Logged(first_of_all(await present_days(connection), since, until), None)


async def numbers_of_rows(connection: Any, ids: Sequence[UUID], logged: Logged, until: datetime) -> dict[UUID, int]:
    """How many rows there are of each organization that has any."""
    rows = await connection.fetch(_NUMBERS, *_here(ids, logged, until))
    numbers: dict[UUID, int] = {row["organization_id"]: row["number"] for row in rows}
    if logged.old is not None:
        for each, number in (await logged.old.numbers(ids, DEMAND)).items():
            numbers[each] = numbers.get(each, 0) + number
    return numbers


async def read_rows(
    connection: Any, ids: Sequence[UUID], logged: Logged, until: datetime, *, formulas: bool
) -> AsyncIterator[Sequence[Any]]:
    """Rows of these organizations, one after the other as they are given, in the order in which they were asked; in pieces,
    by a cursor of the caller's transaction. The organization's place in `ids` from 1 on, then what makes an `Asked`; what
    only formulas need is left out unless `formulas`.
    """
    cursor = await connection.cursor(_ROWS.format(more=_MORE if formulas else ""), *_here(ids, logged, until))
    if logged.old is None:
        while rows := await cursor.fetch(ROWS_AT_ONCE):
            yield rows
        return
    piece: list[Any] = []
    async for row in _merged(logged.old.rows(ids, DEMAND, more=formulas), _each(cursor)):
        piece.append(row)
        if len(piece) == ROWS_AT_ONCE:
            yield piece
            piece = []
    if piece:
        yield piece


def _here(ids: Sequence[UUID], logged: Logged, until: datetime) -> tuple[Any, ...]:
    old = logged.old
    whole, stored_from = (logged.exact_since, None) if old is None else (old.until, old.stored_from)
    return list(ids), logged.exact_since, until, list(DEMAND), whole, stored_from


async def _each(cursor: Any) -> AsyncIterator[Any]:
    while rows := await cursor.fetch(ROWS_AT_ONCE):
        for row in rows:
            yield row


async def _merged(first: AsyncIterator[Any], second: AsyncIterator[Any]) -> AsyncIterator[Any]:
    """Two parts that are in order, as one."""
    one, other = await anext(first, None), await anext(second, None)
    while one is not None or other is not None:
        if other is None or (one is not None and place_of(one) <= place_of(other)):
            yield one
            one = await anext(first, None)
        else:
            yield other
            other = await anext(second, None)


async def read_rollups(
    connection: Any, ids: Sequence[UUID], since: datetime, until: datetime, now: datetime, logs: LogStore
) -> list[Rolled]:
    """By organization and time: hours as far as they are kept, days before. Raises what the log store raises."""
    kept = (now - _HOURS_KEPT).astimezone(UTC).replace(hour=0, minute=0, second=0, microsecond=0)
    ranges = [Range("hour", max(since, kept), until), Range("day", since, min(until, kept))]
    wanted = [one for one in ranges if one.first < one.next]
    old = await logs.rollups(connection, Asked(list(ids), wanted, _BY_ALL, latency=False))
    rollups = everywhere(old, _HOURS_OR_DAYS, "organization_id = any($1)", "$6::bigint", "$7::text")
    more = (old.sent, old.rows) if old else ()
    rows = await connection.fetch(_ROLLUPS.format(rollups=rollups), list(ids), since, until, kept, NO_ID, *more)
    return [Rolled(*row)._replace(operation_id=_known(row["operation_id"])) for row in rows]


async def used_between(
    connection: Any,
    organization_id: UUID,
    since: datetime,
    until: datetime,
    now: datetime,
    logs: LogStore,
    *,
    by_key: bool,
) -> list[Used]:
    """What was let through, from the hour (90 days ago: the day) of `since` on; never too little."""
    grain = "hour" if since > now - _HOURS_KEPT else "day"
    begin = since.replace(minute=0, second=0, microsecond=0)
    begin = begin if grain == "hour" else begin.replace(hour=0)
    source, old = _EVERY_KEY, None
    if by_key:
        asked = Asked([organization_id], [Range(grain, begin, until)], _BY_KEY, latency=False)
        old = await logs.rollups(connection, asked)
        source = everywhere(old, _BUCKETS, "organization_id = $1", "$5::bigint", "$6::text")
    more = (old.sent, old.rows) if old else ()
    rows = await connection.fetch(_USED.format(source=source), organization_id, grain, begin, until, *more)
    return [Used(*row)._replace(operation_id=_known(row["operation_id"])) for row in rows]


async def read_movements(
    connection: Any, ids: Sequence[UUID], since: datetime
) -> tuple[dict[UUID, int], dict[UUID, list[tuple[int, int]]]]:
    """What balances have changed by since then; and what moved otherwise than by usage, as `Purse` wants it."""
    spent = await connection.fetch(_SPENT, list(ids), since)
    changed = {organization_id: -micro for organization_id, micro in spent}
    moved: dict[UUID, list[tuple[int, int]]] = {}
    for organization_id, at, micro in await connection.fetch(_MOVED, list(ids), since):
        changed[organization_id] = changed.get(organization_id, 0) + micro
        moved.setdefault(organization_id, []).append((at, micro))
    return changed, moved


def _known(operation_id: UUID) -> UUID | None:
    return None if operation_id == NO_ID else operation_id
