"""Whether the audit is what was sealed: link by link from the first position on, in bounded memory.

No long transaction is held: what is sealed never changes, so batches that are read one after the other belong together.
"""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import date
from typing import Any
from uuid import UUID

from domain.audit_chain import breaches
from domain.audit_chain.breaches import Breach, StoredLink
from domain.audit_chain.encoding import DAY, GENESIS, TEXTS
from domain.faults import InvalidValue

BATCH = 2_000
NEAR = 2_000
"""How far behind a wrong link an entry is looked for that belongs in its place."""

_LINKS = f"""
select position, entry_id, {DAY.format("l")}, extract(epoch from created_at)::text as sealed_at, hash
  from audit_link l where position > $1 and position <= $2 order by position
"""
_ENTRIES = f"select e.id, {TEXTS} as texts from audit_entry e where e.id = any($1::uuid[])"
_SEALS = f"""
select first_position, last_position, {DAY.format("s")}, head from audit_seal s
 where last_position > $1 and last_position <= $2 order by last_position
"""
_SEAL_OVER = f"select {DAY.format('s')} from audit_seal s where last_position >= $1 and first_position <= $1 limit 1"
_BEFORE = f"""
select first_position, last_position, {DAY.format("s")}, head, l.hash
  from audit_seal s left join audit_link l on l.position = s.last_position where s.day < $1
 order by s.day desc, last_position desc limit 1
"""
_LAST_SEAL = """
select last_position from audit_seal where $1::date is null or day <= $1 order by last_position desc limit 1
"""
_LAST_LINK = "select position from audit_link order by position desc limit 1"
_NEXT_LINK = "select position from audit_link where position > $1 order by position limit 1"
_NEXT_BEGIN = """
select least((select position from audit_link where position > $1 order by position limit 1),
             (select first_position from audit_seal where last_position > $1 order by last_position limit 1))
"""
_ADDED = """
select e.id, (e.created_at at time zone 'UTC')::text as created_at from audit_entry e
 where not exists (select from audit_link l where l.entry_id = e.id)
   and not exists (select from audit_unsealed u where u.entry_id = e.id)
 order by e.created_at, e.id limit 1
"""
_GONE = """
select u.entry_id, (u.created_at at time zone 'UTC')::text as created_at from audit_unsealed u
 where not exists (select from audit_entry e where e.id = u.entry_id) order by u.id limit 1
"""


@dataclass(frozen=True, slots=True)
class Verification:
    """What was found. `verified` links are sound, from `first_position` to `last_position`; `breach` ended it, if any.

    `head` is the hash of the last sound link, in hex: noted elsewhere, it proves later that nothing up to
    `last_position` was changed since. `unsealed` entries wait for their link: nothing proves anything of them yet.
    """

    verified: int
    first_position: int
    last_position: int
    day: str | None
    head: str
    unsealed: int
    seconds: float
    breach: Breach | None

    @property
    def sound(self) -> bool:
        """Whether nothing is wrong."""
        return self.breach is None


async def verify(
    connection: Any,
    *,
    since: date | None = None,
    until: date | None = None,
    expect: bytes | None = None,
    told: Callable[[int, int], None] = lambda _done, _all: None,
) -> Verification:
    """Check the chain's days from `since` to `until`, both included, all without them; and whether it ever had `expect`.

    Entries that have no link at all are looked for in any case. `told(done, all)` hears of progress in links.
    Raises InvalidValue for `expect` with `since`: only the whole chain up to a head proves it.
    """
    if expect is not None and since is not None:
        raise InvalidValue(
            "Whether a noted head still holds is only known from the beginning: leave out the first day."
        )
    if since and until and until < since:
        raise InvalidValue("The last day is before the first one.")
    began = time.monotonic()
    walk = _Walk(connection, expect)
    breach = await walk.go(since, until, told)
    if breach is None and expect is not None and not walk.met:
        breach = breaches.not_expected(expect, until)
    breach = breach or await _outside(connection)
    return Verification(
        verified=walk.position - walk.start,
        first_position=walk.start + 1 if walk.position > walk.start else walk.start,
        last_position=walk.position,
        day=walk.day,
        head=walk.hash.hex(),
        unsealed=await connection.fetchval("select count(*) from audit_unsealed"),
        seconds=round(time.monotonic() - began, 3),
        breach=breach,
    )


class _Walk:
    """From link to link. `position`, `day` and `hash` are those of the last sound one."""

    def __init__(self, connection: Any, expect: bytes | None) -> None:
        self._connection = connection
        self._expect = expect
        self._sealed = 0
        self.start = self.position = 0
        self.day: str | None = None
        self.hash = GENESIS
        self.met = expect == GENESIS

    async def go(self, since: date | None, until: date | None, told: Callable[[int, int], None]) -> Breach | None:
        """Walk; the first breach."""
        before = await self._connection.fetchrow(_BEFORE, since) if since else None
        if before:
            self.start = self.position = self._sealed = before["last_position"]
            self.day, self.hash = before["day"], before["head"]
            if before["hash"] != before["head"]:
                return breaches.wrong_seal(before)
        end = await self._connection.fetchval(_LAST_SEAL, until) or 0
        if until is None:
            end = max(end, await self._connection.fetchval(_LAST_LINK) or 0)
        while self.position < end:
            breach = await self._batch(min(self.position + BATCH, end), end)
            if breach:
                return breach
            told(self.position - self.start, end - self.start)
        # Whoever took a last day away with its seals left a gap behind what is there of it.
        after = None if until is None else await self._connection.fetchval(_NEXT_BEGIN, end)
        return None if after in {None, end + 1} else await self._gap()

    async def _batch(self, last: int, end: int) -> Breach | None:
        seals = await self._connection.fetch(_SEALS, self.position, last)
        links = await _read(self._connection, self.position, last)
        ends = {seal["last_position"]: seal for seal in seals}
        for link in links:
            breach = await self._check(link) or self._check_seal(link, ends.get(link.position))
            if breach:
                return breach
        if self.position < last:
            return await self._gap()
        if last == end and self._sealed < end:
            (link,) = await _read(self._connection, self._sealed, self._sealed + 1)
            return breaches.behind_last_seal(link)
        return None

    async def _check(self, link: StoredLink) -> Breach | None:
        """Go on to the link, if it is sound."""
        if link.position != self.position + 1:
            return await self._gap()
        if link.texts is None:
            return breaches.entry_gone(link)
        if link.hash_behind(self.hash) != link.hash:
            near = await _read(self._connection, self.position, self.position + NEAR)
            again = next(other for other in near if other.position == link.position)
            return breaches.wrong_hash(again, self.hash, near)
        self.position, self.day, self.hash = link.position, link.day, link.hash
        self.met = self.met or link.hash == self._expect
        return None

    def _check_seal(self, link: StoredLink, seal: Any) -> Breach | None:
        if seal is None:
            return None
        if seal["head"] != link.hash or seal["day"] != link.day:
            return breaches.wrong_seal(seal)
        if seal["first_position"] != self._sealed + 1:
            return breaches.seal_gone(self._sealed + 1, link.day)
        self._sealed = link.position
        return None

    async def _gap(self) -> Breach:
        """No link is at the next position."""
        first = self.position + 1
        after = await self._connection.fetchval(_NEXT_LINK, first)
        last = after - 1 if after else await self._connection.fetchval(_LAST_SEAL, None)
        day = await self._connection.fetchval(_SEAL_OVER, first)
        return breaches.links_gone(first, last, day, at_end=after is None)


async def _read(connection: Any, after: int, last: int) -> list[StoredLink]:
    links = await connection.fetch(_LINKS, after, last)
    entries = await connection.fetch(_ENTRIES, [row["entry_id"] for row in links])
    texts: dict[UUID, Sequence[str | None]] = {row["id"]: row["texts"] for row in entries}
    return [StoredLink(**row, texts=texts.get(row["entry_id"])) for row in links]


async def _outside(connection: Any) -> Breach | None:
    """Entries that stand outside of the chain, and those that never came into it."""
    gone = await connection.fetchrow(_GONE)
    if gone:
        return breaches.gone_unsealed(gone["entry_id"], gone["created_at"])
    added = await connection.fetchrow(_ADDED)
    return breaches.never_linked(added["id"], added["created_at"]) if added else None
