"""Requests of days that PostgreSQL dropped, for who replays them: out of the log store, in the order in which they were asked.

Days that PostgreSQL has never dropped are read there whole. Of the days before, the log store has the rows that were stored
before `stored_from`, and PostgreSQL all later ones: whatever is sent meanwhile, none is missing or there twice.
"""

import heapq
from collections.abc import AsyncIterator, Collection, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from typing import Any, NamedTuple
from uuid import UUID

from domain.log_store.clickhouse import SLOW_SECONDS, ClickHouse, micros, moment_of
from domain.log_store.conditions import Conditions
from domain.log_store.outbox import standing
from domain.partitions import present_days
from domain.snapshots import NO_ID

ROWS_AT_ONCE = 20_000
_IDS_AT_ONCE = 1_000
# What left with the day's tables, as its summaries say, which were made then and are kept: the log store has to have it all.
_DROPPED = """
select d.day, coalesce(sum(s.requests), 0)::bigint as rows
  from log_day d left join log_summary s on s.day = d.day and s.edition < d.edition
 where d.edition > 0 and d.day between ($1::timestamptz at time zone 'UTC')::date and ($2::timestamptz at time zone 'UTC')::date
 group by d.day
"""
_PARTS = """
select partition_id, sum(rows) from system.parts
 where active and database = currentDatabase() and table = 'request_log' group by partition_id
"""
_NUMBERS = (
    "select toString(organization_id), count(), max(total_us) from request_log where {where} group by organization_id"
)
_ROWS = """
select toString(organization_id), toUnixTimestamp64Micro(at), toString(key_id), toString(service_id), toString(operation_id),
       toUnixTimestamp64Micro(at) - total_us, total_us, status, outcome, refusal, isNotNull(upstream_us), cost_micro, id{more}
  from request_log where {where} order by at, id limit {{page:UInt32}}
"""
_MORE = ", bytes_in, bytes_out, query, path"
_CHARGED = """
select toString(organization_id), toUnixTimestamp64Micro(created_at), count(), sum(cost_micro) from request_log
 where {where} group by organization_id, created_at
"""
HOLD = "lock table only request_log in access share mode"
"""First in a transaction: no day is dropped between the look at which there are and the rows that are read."""


class Batch(NamedTuple):
    """An organization's share of what was stored at one time."""

    organization_id: UUID | None
    stored_at: datetime


@dataclass(slots=True)
class OldRequests:
    """Rows that ended before `until`. `exact_since`: from when on every day is in the one or the other."""

    store: ClickHouse
    exact_since: datetime
    until: datetime
    stored_from: datetime | None
    longest_us: int = 0
    """The most that a request took, of those that were counted: none begins earlier than that before its end."""

    async def numbers(self, ids: Sequence[UUID], refusals: Collection[str]) -> dict[UUID, int]:
        """How many there are of each organization that has any: let through, or refused for one of these reasons."""
        found: dict[UUID, int] = {}
        for place in range(0, len(ids), _IDS_AT_ONCE):
            conditions = self._conditions(ids[place : place + _IDS_AT_ONCE], refusals)
            statement = _NUMBERS.format(where=conditions)
            for owner, number, longest_us in await self.store.rows(statement, conditions.values, seconds=SLOW_SECONDS):
                found[UUID(owner)] = int(number)
                self.longest_us = max(self.longest_us, int(longest_us))
        return found

    async def rows(self, ids: Sequence[UUID], refusals: Collection[str], *, more: bool) -> AsyncIterator[list[Any]]:
        """After `numbers`: one organization after the other as they are given, each in the order in which its requests
        were asked. Several together are held at once. The columns are those of `what_if.history`.
        """
        places = {each: place for place, each in enumerate(ids, 1)}
        waiting: list[tuple[tuple[int, int, int], list[Any]]] = []
        async for row in self._by_end(ids, refusals, _MORE if more else ""):
            if len(ids) == 1:
                # Whatever comes ended later, so it began no earlier than this.
                while waiting and waiting[0][0][1] < row[1] - self.longest_us:
                    yield heapq.heappop(waiting)[1]
            asked = _asked(row, places[UUID(row[0])])
            heapq.heappush(waiting, (place_of(asked), asked))
        while waiting:
            yield heapq.heappop(waiting)[1]

    async def charged(self, first: datetime, next_: datetime) -> dict[Batch, tuple[int, int]]:
        """Of what was stored from `first` to before `next_`: how many rows of each batch cost something, and how much."""
        conditions = Conditions()
        conditions.add("cost_micro > 0")
        conditions.add("created_at >= fromUnixTimestamp64Micro({first:Int64}, 'UTC')", first=micros(first))
        conditions.add("created_at < fromUnixTimestamp64Micro({next:Int64}, 'UTC')", next=micros(next_))
        conditions.between(self.exact_since, self.until)
        conditions.stored_before(self.stored_from)
        rows = await self.store.rows(_CHARGED.format(where=conditions), conditions.values, seconds=SLOW_SECONDS)
        return {
            Batch(None if UUID(owner) == NO_ID else UUID(owner), moment_of(int(at))): (int(requests), int(cost))
            for owner, at, requests, cost in rows
        }

    async def _by_end(self, ids: Sequence[UUID], refusals: Collection[str], more: str) -> AsyncIterator[list[Any]]:
        conditions = self._conditions(ids, refusals)
        first = str(conditions)
        page: list[list[Any]] = []
        while True:
            where = first
            values: dict[str, Any] = {**conditions.values, "page": ROWS_AT_ONCE}
            if page:
                where += (
                    " and at >= fromUnixTimestamp64Micro({last:Int64}, 'UTC')"
                    " and (at > fromUnixTimestamp64Micro({last:Int64}, 'UTC') or id > {last_id:String})"
                )
                values |= {"last": page[-1][1], "last_id": page[-1][12]}
            statement = _ROWS.format(more=more, where=where)
            page = await self.store.rows(statement, values, seconds=SLOW_SECONDS)
            for row in page:
                yield row
            if len(page) < ROWS_AT_ONCE:
                return

    def _conditions(self, ids: Sequence[UUID], refusals: Collection[str]) -> Conditions:
        conditions = Conditions()
        conditions.add("organization_id in {owners:Array(UUID)}", owners=list(ids))
        conditions.add("key_id != {nobody:UUID} and service_id != {nobody:UUID}", nobody=NO_ID)
        # Literals of this program: codes of refusals.
        codes = ", ".join(f"'{one}'" for one in sorted(refusals))
        conditions.add(f"(outcome != 'refused' or refusal in ({codes}))")
        conditions.between(self.exact_since, self.until)
        conditions.stored_before(self.stored_from)
        return conditions


async def old_requests(connection: Any, store: ClickHouse, since: datetime, until: datetime) -> OldRequests | None:
    """What PostgreSQL has dropped between these; None where nothing is to be read elsewhere. Raises LogStoreAway and so on."""
    now = await standing(connection)
    if now is None or not now.ready:
        return None
    dropped = {row["day"]: row["rows"] for row in await connection.fetch(_DROPPED, since, until)}
    here = set(await present_days(connection)) - set(dropped)
    kept_from = first_of_all(here, since, until)
    if kept_from <= since:
        return None
    stored = {day: int(rows) for day, rows in await store.rows(_PARTS)}
    there = here | {day for day, rows in dropped.items() if stored.get(f"{day:%Y%m%d}", 0) >= rows}
    exact_since = first_of_all(there, since, until)
    return OldRequests(store, exact_since, kept_from, now.stored_from) if exact_since < kept_from else None


def first_of_all(days: Collection[date], since: datetime, until: datetime) -> datetime:
    """From when on every day is among them; `until` if not even the last is."""
    day = (until - timedelta(microseconds=1)).astimezone(UTC).date()
    while day >= since.date() and day in days:
        day -= timedelta(days=1)
    return min(max(datetime(day.year, day.month, day.day, tzinfo=UTC) + timedelta(days=1), since), until)


def place_of(asked: Sequence[Any]) -> tuple[int, int, int]:
    """Where a row stands among those of a replay: its organization's place, when it began, its id."""
    return asked[0], asked[4], asked[11].int


def _asked(row: list[Any], place: int) -> list[Any]:
    operation_id = UUID(row[4])
    return [
        place, UUID(row[2]), UUID(row[3]), None if operation_id == NO_ID else operation_id, *row[5:10], bool(row[10]),
        row[11], UUID(row[12]), *row[13:],
    ]  # fmt: skip
