"""Decides whether a request fits its plan's limits: exact across workers, and a warm request waits for nobody.

A worker spends permits that Redis has leased to it (bucket.py, allowance.py). When it runs low it renews in the
background; when it runs dry the request waits for one call of lease.lua, which carries whatever else the organization
has to tell (traffic.py, serving.py). When nothing is left and others hold permits, these are recalled (recalls.py);
then the request is refused.

G1: no number of workers admits more than the limit, because Redis counts what is leased as used. G5: without Redis what
is leased is spent, then local.py decides; only the requests under way when Redis goes away wait for the budget; a probe
in the background finds out once a second whether it is back, and what was admitted meanwhile is charged then.
docs/decisions has the protocol.
"""

import asyncio
import contextlib
import functools
import logging
import secrets
from collections.abc import Awaitable
from dataclasses import dataclass
from pathlib import Path
from time import monotonic, time
from uuid import UUID

from domain.faults import in_one_line
from domain.quotas import flights
from domain.quotas.account import Account, Wait
from domain.quotas.allowance import CHECKED, NOT_REFILLED, UNKNOWN, Allowance
from domain.quotas.book import Book
from domain.quotas.bucket import Bucket
from domain.quotas.buckets import Buckets
from domain.quotas.costs import CREDITS, ONE, Cost, applying
from domain.quotas.dead_books import settle_dead_books
from domain.quotas.flights import FAULTS
from domain.quotas.local import LocalLimiter
from domain.quotas.recalls import hear_recalls, publish_recall
from domain.quotas.refill import UsedSince
from domain.quotas.serving import Serving
from domain.quotas.traffic import Traffic
from domain.quotas.upkeep import Upkeep
from domain.quotas.windows import UNLIMITED, Verdict, WindowState
from domain.redis_client import open_client, within
from domain.redis_keys import organization_of, probe_key
from domain.settings import RedisSettings
from domain.snapshots import KeySnapshot, LimitSnapshot, PlanSnapshot

__all__ = ["Bucket", "Limiter", "LimiterStatus", "Verdict", "WindowState"]

log = logging.getLogger(__name__)

_PROBE_SECONDS = 1.0
_TICK_SECONDS = 0.1
_BOOKS_SECONDS = 1.0
_LOOK_SECONDS = 0.003


@dataclass(slots=True)
class LimiterStatus:
    """For /ready and /metrics. Counters since the start of the worker; `fault` is the last reason against Redis.

    `decisions_redis` counts requests that waited for Redis, not those that spent what was leased.
    """

    redis_ok: bool = True
    fault: str = ""
    decisions_redis: int = 0
    decisions_local: int = 0
    redis_failures: int = 0
    refused: int = 0
    shadow_refused: int = 0
    calls: int = 0
    recalls: int = 0
    refills: int = 0
    refills_unread: int = 0
    books_settled: int = 0


class Limiter:
    """One per worker. `workers` is how many share the plan's amounts while Redis is away."""

    def __init__(
        self, settings: RedisSettings, workers: int, *, books: Path | None = None, used: UsedSince | None = None
    ) -> None:
        self._settings, self._workers, self._books_folder, self._used = settings, workers, books, used
        self._budget = settings.timeout_ms / 1000
        self._local = LocalLimiter(workers)
        self._status = LimiterStatus()
        self._accounts: dict[UUID, Account] = {}
        self._buckets = Buckets(self._account)
        self.bucket = self._buckets.find
        """The limits that a key's request to a service's operation must fit into: see `Buckets.find`."""
        self.holder = secrets.token_hex(8)
        self.lease_id = int(self.holder, 16)
        self.upkeep = Upkeep()
        self.serving = Serving(self, self._status, used)
        self._traffic = Traffic(self.holder, self._budget, self.serving.land, lambda: not self._status.redis_ok)
        self._book: Book | None = None
        self._probe: asyncio.Task[None] | None = None
        self._background: list[asyncio.Task[None]] = []

    async def start(self) -> None:
        """Connect if Redis is there. A Redis that is away is no reason not to start."""
        self._traffic.client = open_client(self._settings)
        if self._books_folder is not None:
            try:
                self._book = Book(self._books_folder, self.holder)
            except OSError as fault:
                log.warning("no lease book, permits of a killed worker stay spent: %s", in_one_line(fault))
        hearing = hear_recalls(self._settings, self._recalled, self._tell_all)
        self._background += [
            asyncio.create_task(self._tick(), name="limits upkeep"),
            asyncio.create_task(hearing, name="recalls"),
        ]
        try:
            await flights.load(self._traffic.client, self._budget)
        except FAULTS as fault:
            self.fail(fault)

    async def stop(self) -> None:
        """Return what is unspent, then close the connections. A limiter that was not started may be stopped."""
        tasks = [*self._background, *([self._probe] if self._probe is not None else [])]
        await _end(tasks)
        if self._traffic.client is not None:
            await self._return_all()
            await self._traffic.stop()
            await self._traffic.client.aclose()
        if self._book is not None:
            owing = any(a.outstanding for account in self._accounts.values() for a in account.allowances.values())
            for account in self._accounts.values():
                for allowance in account.allowances.values():
                    allowance.unbook()
            self._book.close(keep=owing)
            self._book = None

    def status(self) -> LimiterStatus:
        """The live counters; do not change them."""
        return self._status

    # -- what a request uses

    def wait(self, bucket: Bucket) -> Awaitable[Verdict]:
        """After `take` said False: renewed, or refused, or decided locally, within the time budget."""
        answer: asyncio.Future[Verdict] = asyncio.get_running_loop().create_future()
        decided = self.decide(bucket)
        if decided is not None:
            answer.set_result(decided)
            return answer
        account = bucket.account
        account.waiting.append(Wait(bucket, answer))
        self._traffic.queue(account)
        return answer

    def decide(self, bucket: Bucket) -> Verdict | None:
        """The same where nobody has to be asked: Redis is away, or has just said that nothing is left. None: wait."""
        if bucket.retired:
            bucket.attach(self._account(bucket.key.organization_id))
        if not self._status.redis_ok or bucket.account.slow:
            return self.decide_locally(bucket)
        now = monotonic()
        for allowance, weight in bucket.needs:
            if allowance.shuts_out(weight, now):
                return self.serving.refusal(bucket)
        return None

    def consume(
        self,
        key: KeySnapshot,
        plan: PlanSnapshot,
        service_id: UUID | None = None,
        operation_id: UUID | None = None,
        cost: Cost = ONE,
    ) -> Verdict | Awaitable[Verdict]:
        """Take what a request needs of every limit, or nothing of any: `bucket`, `take` and `wait` in one."""
        bucket = self.bucket(key, plan, service_id, operation_id, cost)
        if not bucket.limits:
            return UNLIMITED
        if bucket.take():
            return self.serving.admission(bucket)
        return self.decide(bucket) or self.wait(bucket)

    async def peek(self, key: KeySnapshot, plan: PlanSnapshot) -> list[WindowState]:
        """Every limit that applies (`costs.applying`) as it stands, in that order. Consumes nothing.

        What other workers hold and have not spent is no usage: they are asked to give it back first, for as long as a
        decision may take.
        """
        limits = applying(key, plan)
        if not limits:
            return []
        bucket = Bucket(key, plan, limits, self._account(key.organization_id))
        if self._status.redis_ok:
            await self.serving.look(bucket)
            await self._look_behind_leases(bucket)
        if self._status.redis_ok:
            return list(bucket.states())
        return list(self._local.take(key, limits, [0] * len(limits)).windows)

    async def _look_behind_leases(self, bucket: Bucket) -> None:
        held = [allowance.name for allowance in bucket.allowances if allowance.others]
        if not held or not self._status.redis_ok:
            return
        try:
            async with asyncio.timeout(self._budget):
                await asyncio.gather(*(publish_recall(self._traffic.client, self.holder, name) for name in held))
                while self._status.redis_ok and any(allowance.others for allowance in bucket.allowances):
                    await asyncio.sleep(_LOOK_SECONDS)
                    await self.serving.look(bucket)
        except FAULTS:
            return

    def decide_locally(self, bucket: Bucket) -> Verdict:
        """What is leased is spent first; of the rest, this worker's share."""
        self._status.decisions_local += 1
        return self.serving.counted(self._local.decide(bucket, monotonic(), time()))

    # -- what the parts use

    def queue(self, account: Account) -> None:
        """Carry what waits in an account to Redis; while that is away, nothing goes."""
        if self._status.redis_ok and self._traffic.client is not None:
            self._traffic.queue(account)

    def spawn(self, work: Awaitable[None]) -> None:
        """A task of this limiter's."""
        self._traffic.spawn(work)

    def new_allowance(
        self, account: Account, name: str, limit: LimitSnapshot, key: KeySnapshot, plan: PlanSnapshot
    ) -> Allowance:
        """An allowance with nothing in it."""
        self._accounts.setdefault(account.organization_id, account)
        allowance = Allowance(account, name, limit, key, plan)
        allowance.refill = self.first_refill(allowance)
        if limit.unit == CREDITS and allowance.refill == UNKNOWN:
            # A cap may have been set, or taken off and set again, long after its window began.
            allowance.refill = CHECKED
        if self._book is not None and allowance.enforced:
            allowance.enter(self._book)
        self.upkeep.count += 1
        self.upkeep.calm(allowance)
        return allowance

    def first_refill(self, allowance: Allowance) -> int:
        """What a call says of the rollups until they have been read."""
        return UNKNOWN if self._used is not None and allowance.limit.period in {"day", "month"} else NOT_REFILLED

    def forgotten(self, account: Account, allowance: Allowance) -> None:
        """An allowance is gone; so is its account, if that was the last."""
        if self._book is not None and allowance.booked:
            cell = allowance.base
            allowance.unbook()
            self._book.leave(cell)
        if not account.allowances:
            self._accounts.pop(account.organization_id, None)

    def fail(self, fault: BaseException) -> None:
        """Redis did not do its part."""
        self._status.redis_failures += 1
        self._status.fault = in_one_line(fault)
        if self._status.redis_ok:
            self._status.redis_ok = False
            log.error("Redis is away, limits are local and bounded until it is back: %s", self._status.fault)
            self._probe = asyncio.get_running_loop().create_task(self._probe_until_back(), name="Redis probe")

    # -- inside

    def _account(self, organization_id: UUID) -> Account:
        account = self._accounts.get(organization_id)
        if account is None:
            account = self._accounts[organization_id] = Account(self, organization_id)
        return account

    async def _tick(self) -> None:
        next_look = 0.0
        while True:
            while self.upkeep.turn():  # noqa: ASYNC110  requests go first
                await asyncio.sleep(0)
            if self._books_folder is not None and self._status.redis_ok and monotonic() >= next_look:
                next_look = monotonic() + _BOOKS_SECONDS
                try:
                    run = functools.partial(flights.run, self._traffic.client)
                    self._status.books_settled += await settle_dead_books(self._books_folder, run)
                except FAULTS as fault:
                    log.warning("the permits of a dead worker can't be returned yet: %s", in_one_line(fault))
            await asyncio.sleep(_TICK_SECONDS)

    def _recalled(self, holder: str, name: str) -> None:
        """Another worker runs dry of a window, or has found Redis without memory of an organization."""
        if holder == self.holder:
            return
        try:
            account = self._accounts.get(organization_of(name))
        except ValueError:
            return
        if account is None:
            return
        allowance = account.allowances.get(name)
        for held in [allowance] if allowance is not None else account.allowances.values():
            if (held.lent or account.busy) and (allowance is not None or name == account.marker):
                held.returning = True
                account.mark(held)

    def _tell_all(self) -> None:
        """Return what is unspent, and tell anew what was spent, of everything."""
        for account in list(self._accounts.values()):
            for allowance in account.allowances.values():
                if allowance.outstanding:
                    allowance.returning = True
                    account.mark(allowance)

    async def _return_all(self) -> None:
        if not self._status.redis_ok:
            return
        self._tell_all()
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(20 * self._budget):
                await self._traffic.settle()

    async def _probe_until_back(self) -> None:
        """Probe with a write, because a full or read-only server answers PING."""
        while not self._status.redis_ok:
            await asyncio.sleep(_PROBE_SECONDS)
            try:
                await within(self._budget, self._traffic.client.set(probe_key(), 1, px=1_000))
            except FAULTS as fault:
                self.fail(fault)
                continue
            self._status.redis_ok, self._status.fault = True, ""
            log.warning("Redis is back, limits are exact again")
            for account in list(self._accounts.values()):
                if account.dirty or account.waiting:
                    self._traffic.queue(account)


async def _end(tasks: list[asyncio.Task[None]]) -> None:
    """Cancel until they have ended: a client that is connecting or closing may take a cancellation for a fault."""
    pending = set(tasks)
    while pending:
        for task in pending:
            task.cancel()
        _, pending = await asyncio.wait(pending, timeout=_TICK_SECONDS)
