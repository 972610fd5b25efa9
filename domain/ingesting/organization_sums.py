"""What each organization used, in one narrow row a day, week and month; its first calls; and when keys were used last.

Reports look for the first of 100,000 organizations: they read a row of each of a few weeks or months, and then only the
summaries of those that may be among the first.
"""

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from domain.ingesting.grains import EPOCH, EVERY, month_of, week_of
from domain.ingesting.tallies import Key, Tally
from domain.snapshots import NO_ID

_NOBODY, _ALL = NO_ID.bytes, EVERY.bytes
_ADD = """
insert into organization_usage as r (grain, bucket, organization_id, requests, errors, refused, cost_micro)
select * from unnest($1::text[], $2::timestamptz[], $3::uuid[], $4::bigint[], $5::bigint[], $6::bigint[], $7::bigint[])
on conflict (grain, bucket, organization_id) do update set requests = r.requests + excluded.requests,
  errors = r.errors + excluded.errors, refused = r.refused + excluded.refused, cost_micro = r.cost_micro + excluded.cost_micro
"""
# Only rows that change are locked, in one order.
_FIRSTS = """
with seen as (
    select * from unnest($1::uuid[], $2::timestamptz[], $3::timestamptz[], $4::timestamptz[]) as s (id, call, success, priced)
), late as (
    select m.organization_id as id, s.call, s.success, s.priced
      from seen s join organization_milestone m on m.organization_id = s.id
     where m.first_call_at is null or m.first_call_at > s.call
        or s.success < coalesce(m.first_success_at, 'infinity') or s.priced < coalesce(m.first_priced_at, 'infinity')
     order by m.organization_id for no key update of m
)
update organization_milestone m set first_call_at = least(m.first_call_at, late.call),
       first_success_at = least(m.first_success_at, late.success), first_priced_at = least(m.first_priced_at, late.priced)
  from late where m.organization_id = late.id
"""
# A key that somebody else changes at this moment is passed over: nobody waits, and the next fold tells it again.
_USED = """
update api_key k set last_used_at = u.at
  from (select x.id, s.at from unnest($1::uuid[], $2::timestamptz[]) as s (id, at) join api_key x on x.id = s.id
         where x.last_used_at is null or x.last_used_at < s.at - $3::interval
         order by x.id for no key update of x skip locked) as u
 where k.id = u.id
"""
LAST_USE_MINUTES = 10
"""How much later a use must be to be written: a busy key is written six times an hour, not with every fold."""
_KEYS_AT_ONCE = 1_000


async def add_to_organizations(
    connection: Any, rows: Sequence[tuple[Key, Tally]], sums: Sequence[tuple[Key, Tally]]
) -> None:
    """Add rollups and their summaries, inside the caller's transaction."""
    used = usage_of(sums)
    if used:
        await connection.execute(_ADD, *map(list, zip(*used, strict=True)))
    first = firsts_of(rows)
    if first:
        await connection.execute(_FIRSTS, *map(list, zip(*first, strict=True)))


async def mark_used(connection: Any, rows: Sequence[tuple[Key, Tally]]) -> None:
    """When keys were used last, in transactions of their own: nobody who revokes a key waits for a fold."""
    keys = [(id_, EPOCH + timedelta(minutes=minute)) for id_, minute in last_uses_of(rows).items()]
    for begin in range(0, len(keys), _KEYS_AT_ONCE):
        ids, moments = zip(*keys[begin : begin + _KEYS_AT_ONCE], strict=True)
        await connection.execute(_USED, list(ids), list(moments), timedelta(minutes=LAST_USE_MINUTES))


def usage_of(sums: Sequence[tuple[Key, Tally]]) -> list[tuple[Any, ...]]:
    """Rows of `organization_usage`, sorted by their key."""
    found: dict[tuple[str, datetime, UUID], list[int]] = {}
    for (dimensions, grain, day, _), tally in sums:
        if grain != "day" or dimensions[16:] != _ALL * 3 or dimensions[:16] == _ALL:
            continue
        organization = UUID(bytes=dimensions[:16])
        for wider, bucket in (("day", day), ("week", week_of(day)), ("month", month_of(day))):
            key = wider, EPOCH + timedelta(minutes=bucket), organization
            known = found.setdefault(key, [0, 0, 0, 0])
            for place, figure in enumerate((tally.requests, tally.errors, tally.refused, tally.cost_micro)):
                known[place] += figure
    return [(*key, *figures) for key, figures in sorted(found.items())]


def firsts_of(rows: Sequence[tuple[Key, Tally]]) -> list[tuple[Any, ...]]:
    """The first minute of each organization's calls, of those with a status of 2xx, and of those that cost something."""
    found: dict[bytes, list[int | None]] = {}
    for (dimensions, grain, minute, status_class), tally in rows:
        organization = dimensions[:16]
        if grain != "minute" or organization == _NOBODY:
            continue
        known = found.setdefault(organization, [None, None, None])
        for place, holds in enumerate((True, status_class == 2, tally.cost_micro > 0)):
            before = known[place]
            if holds and (before is None or minute < before):
                known[place] = minute
    return [
        (UUID(bytes=organization), *(None if at is None else EPOCH + timedelta(minutes=at) for at in minutes))
        for organization, minutes in sorted(found.items())
    ]


def last_uses_of(rows: Sequence[tuple[Key, Tally]]) -> dict[UUID, int]:
    """The last minute of each key's calls, refused ones too."""
    found: dict[bytes, int] = {}
    for (dimensions, grain, minute, _), _tally in rows:
        key = dimensions[16:32]
        if grain == "minute" and key != _NOBODY and minute > found.get(key, -1):
            found[key] = minute
    return {UUID(bytes=key): minute for key, minute in sorted(found.items())}
