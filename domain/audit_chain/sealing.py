"""Linking what was written to the chain, in the order in which it is found committed.

A place is given when an entry is sealed, and not when it is written: no place waits for a transaction that still runs, and
who commits late has a later one. What waits is a row of `audit_unsealed`, which the entry's transaction wrote by trigger
and the sealing one deletes, so each entry is linked once, whatever is killed.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date
from itertools import groupby
from typing import Any
from uuid import UUID

from domain.audit_chain.encoding import GENESIS, TEXTS, content_of, link_hash

BATCH = 1_000
"""Entries that are linked in one transaction."""

_FIRST_DAY = date(1970, 1, 1)

LOCK = 7_236_118_044
"""Advisory lock (transaction scope) of whoever appends to the chain."""

# A sealer that was stopped in the middle of its transaction keeps the others waiting for no longer than this.
_BEGIN = """
select set_config('idle_in_transaction_session_timeout', '60s', true), pg_advisory_xact_lock($1)
"""
# What is the furthest, if somebody has taken links or seals away: sealing goes on, and verifying finds the gap.
_END = """
select position, day, hash from (
    (select position, day, hash from audit_link order by position desc limit 1) union all
    (select last_position, day, head from audit_seal order by last_position desc limit 1)) as ends
 order by position desc limit 1
"""
_NOW = "select now() as at, extract(epoch from now())::text as text, (now() at time zone 'UTC')::date as day"
_WAITING = "select id, entry_id from audit_unsealed where id > $1 order by id limit $2"
# The day is the entry's; neither before the chain's nor after today, whatever clock it was written by.
_ENTRIES = f"""
select e.id, greatest($2::date, least($3::date, (e.created_at at time zone 'UTC')::date)) as day, {TEXTS} as texts
  from audit_entry e where e.id = any($1::uuid[])
"""
_LINKED = "select entry_id from audit_link where entry_id = any($1::uuid[])"
_LINK = """
insert into audit_link (position, created_at, entry_id, day, hash)
select l.position, now(), l.entry_id, l.day, l.hash
  from unnest($1::bigint[], $2::uuid[], $3::date[], $4::bytea[]) as l (position, entry_id, day, hash)
"""
_SEAL = """
insert into audit_seal (last_position, created_at, first_position, day, head)
select s.last, now(), s.first, s.day, s.head
  from unnest($1::bigint[], $2::bigint[], $3::date[], $4::bytea[]) as s (last, first, day, head)
"""


@dataclass(frozen=True, slots=True)
class _Link:
    position: int
    entry_id: UUID
    day: date
    hash: bytes


async def seal(connection: Any, *, most: int) -> int:
    """Link what waits, at most so many entries, in transactions of BATCH; how many. 0: nothing waits.

    Safe to be killed at any moment, and to run twice at once: the second one waits. Not within a transaction of the
    caller, for then all of it is one, and keeps others from sealing until it ends.
    """
    linked, after = 0, 0
    while linked < most:
        size = min(BATCH, most - linked)
        async with connection.transaction():
            await connection.execute(_BEGIN, LOCK)
            waiting = await connection.fetch(_WAITING, after, size)
            linked += await _link(connection, [row["entry_id"] for row in waiting])
        if len(waiting) < size:
            break
        after = waiting[-1]["id"]
    return linked


async def _link(connection: Any, ids: list[UUID]) -> int:
    """What was deleted before it was sealed stays in `audit_unsealed`, where verifying finds it."""
    if not ids:
        return 0
    end, now = await connection.fetchrow(_END), await connection.fetchrow(_NOW)
    linked = {row["entry_id"] for row in await connection.fetch(_LINKED, ids)}
    day = end["day"] if end else _FIRST_DAY
    rows = {row["id"]: row for row in await connection.fetch(_ENTRIES, ids, day, now["day"])}
    new = [rows[key] for key in ids if key in rows and key not in linked]
    links = list(_chain(new, end["position"] if end else 0, end["hash"] if end else GENESIS, day, now["text"]))
    if links:
        columns = zip(*((link.position, link.entry_id, link.day, link.hash) for link in links), strict=True)
        await connection.execute(_LINK, *map(list, columns))
        days = [list(group) for _, group in groupby(links, key=lambda link: link.day)]
        heads = zip(*((part[-1].position, part[0].position, part[0].day, part[-1].hash) for part in days), strict=True)
        await connection.execute(_SEAL, *map(list, heads))
    done = [*linked, *(link.entry_id for link in links)]
    await connection.execute("delete from audit_unsealed where entry_id = any($1::uuid[])", done)
    return len(links)


def _chain(rows: list[Any], position: int, before: bytes, day: date, sealed_at: str) -> Iterator[_Link]:
    """The links of these entries behind the one at `position` with the hash `before`."""
    for place, row in enumerate(rows, position + 1):
        day = max(day, row["day"])
        before = link_hash(before, place, day.isoformat(), sealed_at, content_of(row["texts"]))
        yield _Link(place, row["id"], day, before)
