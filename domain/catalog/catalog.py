"""The read model of the data plane: keys, plans, services and operations in this process, never older than it says.

Plans, services and operations are read whole and swapped at once. Keys are read one by one, when they are presented,
by one read however many wait for it. The database announces every change; while it cannot be heard, everything is
read again after `degraded_ttl_seconds`. A read that fails decides nothing: a key that was verified goes on for
`outage_ttl_seconds`, an unknown one is CannotDecide. A read that succeeds decides at once. Nobody waits for a read
of a key that was good a moment ago: a database that hangs is noticed by the reads behind the requests' backs.
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Generator
from dataclasses import dataclass
from hashlib import sha256
from time import monotonic, time
from typing import Any
from uuid import UUID

from domain.catalog.changes import Change
from domain.catalog.key_cache import KeyCache, KeyEntry
from domain.catalog.key_reading import READ_SECONDS, plausible, read_key
from domain.catalog.lending import READ_FAULTS, lent
from domain.catalog.listener import ChangeListener
from domain.catalog.own_plans import OwnPlans
from domain.catalog.reading import Tables, read_tables
from domain.catalog.reloads import Reloads
from domain.catalog.routes import RouteIndex
from domain.databases import Pool
from domain.faults import in_one_line
from domain.refusals import CannotDecide
from domain.settings import Settings
from domain.snapshots import NO_ID, KeySnapshot, Match, PlanSnapshot

TABLES_SECONDS = 10.0
PROBE_SECONDS = 0.5
_ATTEMPTS = 5
_JUST_NOW_SECONDS = 5.0
_GRACE_SECONDS = READ_SECONDS + 0.5

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class CatalogStatus:
    """`age_seconds`: since the database last confirmed what is held. `reason` says why `listener_ok` is False."""

    listener_ok: bool
    generation: int
    age_seconds: float
    keys_cached: int
    reason: str
    loaded: bool
    database_ok: bool


class _NoAnswer:
    """What a key's read gives when the database gave no answer."""


_NO_ANSWER = _NoAnswer()
_Read = asyncio.Task[KeySnapshot | _NoAnswer | None]


class Catalog:
    """One per process, used on the event loop that started it. The caller opens and closes the pool."""

    def __init__(self, pool: Pool, settings: Settings) -> None:
        self._pool = pool
        self._settings = keys = settings.keys
        self._peppers = keys.pepper_by_version
        self._cache = KeyCache(keys.cache_size, keys.negative_cache_size)
        self._known = self._cache.known
        self._reads: dict[bytes, _Read] = {}
        self._tables: Tables | None = None
        self._plans: dict[UUID, PlanSnapshot] = {}
        self._versions: dict[UUID, PlanSnapshot] = {}
        self._own_plans = OwnPlans()
        self._routes = RouteIndex(())
        self._reloads = Reloads(self._load)
        self._listener = ChangeListener(
            settings.database.url.get_secret_value(),
            on_change=self._changed,
            on_found=self._found,
            on_lost=self._lost,
            on_missed=self._distrust,
        )
        self._tasks: list[asyncio.Task[None]] = []
        self._loaded_at = monotonic()
        self._stale_before = 0.0
        self._away = False
        self._probed_at = 0.0
        self._ttl = self._negative_ttl = 0.0
        self.version = 0
        """Moves with everything that may change what `match`, `find_key` or `plan` say, but for a key's age."""
        self._deaf_since: float | None = None
        self._lost()

    def hear(self, channel: str, told: Callable[[str], None]) -> None:
        """Lend this catalog's ear: `told(payload)` for each notification on a channel. Before `start`."""
        self._listener.hear(channel, told)

    async def start(self) -> None:
        """Begin to hear changes and read the tables. Without the database it returns after some seconds and goes on
        trying; until the tables were read once, `match` raises CannotDecide.
        """
        self._tasks = [
            asyncio.create_task(self._reloads.run(), name="catalog reloads"),
            asyncio.create_task(self._listener.run(), name="catalog listener"),
            asyncio.create_task(self._reload_while_deaf(), name="catalog polling"),
        ]
        try:
            async with asyncio.timeout(TABLES_SECONDS):
                await self._reloads.fresh()
        except READ_FAULTS:
            _log.warning("starting without plans and services: the database gives no answer")

    async def stop(self) -> None:
        """End every task of the catalog."""
        self._listener.hang_up()
        tasks = [*self._tasks, *self._reads.values()]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        self._tasks = []

    def match(self, method: bytes, path: bytes) -> Match | None:
        """The service and operation of a canonical path; None: no service has it."""
        found = self._routes.match(method, path)
        if found is None and self._tables is None:
            raise CannotDecide(internal="plans and services were never read", retry_after_seconds=1)
        return found

    def find_key(self, presented: bytes) -> KeySnapshot | Awaitable[KeySnapshot | None] | None:
        """The key's snapshot, None if there is no such key, or an awaitable of either if the database must be asked.

        Revoked and expired keys are returned as such. Raises CannotDecide, here or when awaited, if a key that is not
        held must be read and the database gives no answer.
        """
        cache_key = sha256(presented).digest()
        entry = self._known.get(cache_key)
        if entry is not None:
            read_at = entry.read_at
            if read_at >= self._stale_before and monotonic() - read_at < self._ttl:
                self._known.move_to_end(cache_key)
                return entry.snapshot
        return self._find_cold(presented, cache_key, entry)

    def good_until(self, presented: bytes) -> float:
        """Monotonic seconds until which `find_key` and `plan_of` say the same of this key, if `version` does not move.

        0: unknown. What ends at a moment of the wall clock (access, an override) is as far away as that clock says now.
        """
        entry = self._known.get(sha256(presented).digest())
        if entry is None or entry.read_at < self._stale_before:
            return 0.0
        key, until = entry.snapshot, entry.read_at + self._ttl
        if key.access_until is None and not key.overrides:
            return until
        ends = [override.until for override in key.overrides if override.until is not None]
        ends += [] if key.access_until is None else [key.access_until]
        now = time()
        if any(now - _JUST_NOW_SECONDS < end <= now for end in ends):
            # What is asked about may have been decided before.
            return 0.0
        return min([until, *(monotonic() + end - now for end in ends if end > now)])

    def plan_of(self, key: KeySnapshot) -> PlanSnapshot:
        """The terms of a key's subscription at this moment, with what its organization has of its own.

        The key has a plan. Raises CannotDecide for terms that were not read yet.
        """
        version_id = key.plan_version_id
        plan = self._plans.get(key.plan_id or NO_ID) if version_id is None else self._versions.get(version_id)
        if plan is None:
            self._reloads.want()
            what = f"plan {key.plan_id}" if version_id is None else f"plan version {version_id}"
            raise CannotDecide(internal=f"{what} was not read yet", retry_after_seconds=1)
        if key.overrides or key.trialing:
            return self._own_plans.of(plan, key, time())
        return plan

    def plan(self, plan_id: UUID) -> PlanSnapshot:
        """A plan by its id. Raises CannotDecide for one that was not read yet."""
        found = self._plans.get(plan_id)
        if found is None:
            self._reloads.want()
            raise CannotDecide(internal=f"plan {plan_id} was not read yet", retry_after_seconds=1)
        return found

    def status(self) -> CatalogStatus:
        """For /ready and the metrics."""
        listener = self._listener
        return CatalogStatus(
            listener_ok=listener.ok,
            generation=listener.generation,
            age_seconds=monotonic() - max(listener.confirmed_at if listener.ok else 0.0, self._loaded_at),
            keys_cached=len(self._cache),
            reason=listener.reason,
            loaded=self._tables is not None,
            database_ok=not self._away,
        )

    def _find_cold(
        self, presented: bytes, cache_key: bytes, entry: KeyEntry | None
    ) -> KeySnapshot | Awaitable[KeySnapshot | None] | None:
        now = monotonic()
        if entry is None and (self._cache.is_unknown(cache_key, now, self._negative_ttl) or not plausible(presented)):
            return None
        read = self._reads.get(cache_key)
        if entry is not None and not self._away and self._was_good(entry, now):
            if read is None:
                self._begin_read(presented, cache_key)
            return entry.snapshot
        if self._away:
            # One read in a while asks whether the database is back; nobody waits for it who has an answer.
            if read is None and now - self._probed_at >= PROBE_SECONDS:
                self._probed_at = now
                read = self._begin_read(presented, cache_key)
            if entry is not None and self._survives(entry, now):
                return entry.snapshot
            if read is None:
                raise _cannot_decide()
        return _Answer(read or self._begin_read(presented, cache_key))

    def _was_good(self, entry: KeyEntry, now: float) -> bool:
        """Whether nothing but time speaks against a key that is held: then its read is not waited for.

        While changes are heard, time alone makes nothing wrong. When they no longer are, a read may take _GRACE_SECONDS,
        once, on top of the two heartbeats that finding out took: a revoked key still stops in less than 5 s.
        """
        if entry.read_at < self._stale_before:
            return False
        return self._deaf_since is None or now - self._deaf_since < _GRACE_SECONDS

    def _survives(self, entry: KeyEntry, now: float) -> bool:
        return now - entry.read_at < self._settings.outage_ttl_seconds

    def _begin_read(self, presented: bytes, cache_key: bytes) -> _Read:
        read = asyncio.create_task(self._read(presented, cache_key), name="catalog key read")
        self._reads[cache_key] = read
        read.add_done_callback(lambda _: self._reads.pop(cache_key, None))
        return read

    async def _read(self, presented: bytes, cache_key: bytes) -> KeySnapshot | _NoAnswer | None:
        snapshot = None
        for _ in range(_ATTEMPTS):
            ticket = self._cache.begin(monotonic())
            try:
                snapshot = await read_key(self._pool, self._peppers, presented, cache_key)
                if snapshot is not None and snapshot.plan_id is not None and not self._has_terms_of(snapshot):
                    await self._reloads.fresh()
            except READ_FAULTS as fault:
                return self._without_answer(cache_key, fault)
            else:
                self._away = False
                if self._cache.store(cache_key, snapshot, ticket):
                    break
            finally:
                self._cache.end()
        return snapshot

    def _has_terms_of(self, key: KeySnapshot) -> bool:
        if key.plan_version_id is not None:
            return key.plan_version_id in self._versions
        return key.plan_id in self._plans

    def _without_answer(self, cache_key: bytes, fault: BaseException) -> KeySnapshot | _NoAnswer:
        if not self._away:
            _log.warning("the database gives no answer about keys: %s", in_one_line(fault))
        self._away = True
        now = self._probed_at = monotonic()
        # Looked up again: an invalidation that came during the read has removed it for good.
        entry = self._known.get(cache_key)
        return entry.snapshot if entry is not None and self._survives(entry, now) else _NO_ANSWER

    async def _load(self) -> None:
        try:
            async with lent(self._pool, TABLES_SECONDS) as connection:
                tables = await read_tables(connection, self._tables.held if self._tables is not None else {})
        except READ_FAULTS:
            self._away = True
            raise
        self._away = False
        self._tables, self._plans, self._routes = tables, tables.plans, tables.routes
        self._versions = tables.versions
        self._own_plans.clear()
        self._loaded_at = monotonic()
        self.version += 1

    def _changed(self, change: Change) -> None:
        self.version += 1
        if change.table == "api_key" and change.row_id is not None:
            self._cache.forget_key(change.row_id)
        elif change.table in {"organization", "subscription", "limit_override"} and change.organization_id is not None:
            self._cache.forget_organization(change.organization_id)
        elif change.table in {"plan_limit", "plan_price", "plan_version", "service", "operation"}:
            self._reloads.want()
        elif change.table == "plan":
            # Keys hold their plan's slug.
            self._distrust()
        else:
            self._cache.clear()
            self._reloads.want()

    async def _found(self) -> None:
        self._distrust()
        await self._reloads.fresh()
        self.version += 1
        self._deaf_since = None
        self._ttl = self._settings.cache_ttl_seconds
        self._negative_ttl = self._settings.negative_ttl_seconds

    def _lost(self) -> None:
        self.version += 1
        if self._deaf_since is None:
            self._deaf_since = monotonic()
        self._ttl = min(self._settings.cache_ttl_seconds, self._settings.degraded_ttl_seconds)
        self._negative_ttl = min(self._settings.negative_ttl_seconds, self._settings.degraded_ttl_seconds)

    def _distrust(self) -> None:
        """Nothing read before now is used unless the database is away: changes may have been missed."""
        self.version += 1
        self._stale_before = monotonic()
        self._cache.forget_unknown()
        self._reloads.want()

    async def _reload_while_deaf(self) -> None:
        # Unconditional: a generation read before the change's transaction commits would be seen, and the change not.
        while True:
            await asyncio.sleep(self._settings.degraded_ttl_seconds / 2)
            if not self._listener.ok:
                self._reloads.want()


class _Answer:
    """A key's read that somebody waits for; unlike a coroutine it may be dropped unawaited."""

    __slots__ = ("_read",)

    def __init__(self, read: _Read) -> None:
        self._read = read

    def __await__(self) -> Generator[Any, None, KeySnapshot | None]:
        # Shielded: whoever gives up waiting must not take the answer from the others.
        outcome = yield from asyncio.shield(self._read).__await__()
        if isinstance(outcome, _NoAnswer):
            raise _cannot_decide()
        return outcome


def _cannot_decide() -> CannotDecide:
    return CannotDecide(internal="the database gives no answer about this key", retry_after_seconds=1)
