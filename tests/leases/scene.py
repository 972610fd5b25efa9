"""Workers on one Valkey, a clock, and everything that can happen to them; the admissions are judged by the oracle."""

import asyncio
import pickle
import time
from collections.abc import Sequence
from itertools import count
from pathlib import Path
from typing import Any

from tests.leases.admissions import ADMITTED, DONE, Admission, read
from tests.leases.history import Fault, History
from tests.leases.oracle import ROLLING, breaches, charged, owners, weights, window
from tests.leases.worker import Answer, Start, Target
from tests.leases.workers import Nursery, RemoteWorker
from tests.leases.world_clock import WorldClock
from tests.valkeys import OwnValkey

TIMEOUT_MS = 300
"""Real Redis never needs it, even on a machine that is busy with other tests."""
RECOVERY_SECONDS = 20.0
LARGEST_TICK = 4.0


class Scene:
    """One run. `folder` is new and empty; the server is empty too."""

    def __init__(
        self,
        folder: Path,
        nursery: Nursery,
        clock: WorldClock,
        server: OwnValkey,
        targets: Sequence[Target],
        workers: int,
    ) -> None:
        self.folder, self.nursery, self.clock, self.server = folder, nursery, clock, server
        self.targets, self.size = tuple(Target(*target) for target in targets), workers
        self.alive: list[RemoteWorker] = []
        self.history = History(clock.now(), workers, step_at_begin=clock.steps)
        self.refused = self.refused_with_room = self.spurious = self.unsure = 0
        self._numbers = count()
        self._failures: dict[int, int] = {}
        self._fault_began: float | None = None

    async def birth(self, **changes: Any) -> RemoteWorker:
        """One more worker."""
        values = {
            "number": next(self._numbers),
            "url": self.server.url,
            "workers": self.size,
            "books": self.folder / "books",
            "log": self.folder / "admissions",
            "targets": self.targets,
            "timeout_ms": TIMEOUT_MS,
            "rollups": self.folder / "rollups",
        }
        self.alive.append(await RemoteWorker(Start(**(values | changes))).born(self.nursery))
        return self.alive[-1]

    async def ask(self, worker: RemoteWorker, bucket: int, number: int = 1, *, hold: bool = False) -> list[Answer]:
        """Requests at one worker, all at once."""
        answers = await worker.ask(bucket, number, hold=hold)
        self.refused += sum(not answer.allowed for answer in answers)
        return answers

    async def everyone(self, bucket: int, number: int) -> list[Answer]:
        """The same at every worker, all at once."""
        return [
            one for some in await asyncio.gather(*(self.ask(w, bucket, number) for w in self.alive)) for one in some
        ]

    async def tick(self, seconds: float) -> None:
        """Let time pass, and what is due then happen."""
        while seconds > 0:
            self.clock.advance(min(seconds, LARGEST_TICK))
            seconds -= LARGEST_TICK
            for worker in self.alive:
                await worker.call("status")
            await asyncio.sleep(0.004)

    async def kill(self, worker: RemoteWorker) -> None:
        """SIGKILL."""
        self.alive.remove(worker)
        await worker.kill()
        self.history.deaths.append((self.clock.now(), worker.start.number))

    async def stop(self, worker: RemoteWorker) -> None:
        """In order."""
        self.alive.remove(worker)
        await worker.stop()
        self.history.deaths.append((self.clock.now(), worker.start.number))

    def step(self, seconds: float) -> None:
        """Set the server's clock forward or back."""
        self.history.steps.append((self.clock.now(), seconds))
        self.clock.step(seconds)

    def note_rollups(self) -> None:
        """Write what the rollups would have: every admission so far."""
        rows = []
        for entry in self.log():
            if entry.kind == ADMITTED:
                key, _, service_id, operation_id, cost = self.targets[entry.bucket]
                ids = key.organization_id, key.id, service_id, operation_id
                rows.append((entry.ended + entry.step, ids, cost))
        (self.folder / "rollups").write_bytes(pickle.dumps(rows))

    def wipe(self) -> None:
        """FLUSHALL, with rollups that are up to date."""
        self.note_rollups()
        began = self.clock.now()
        self.server.command("FLUSHALL")
        # Permits that were leased before are spent until the end of their slot, that of a minute at the longest.
        self.history.faults.append(Fault(began, self.clock.now() + ROLLING["minute"][1], lost=True))

    def away(self) -> None:
        """From here on Redis does not do its part."""
        self._fault_began = self._fault_began or self.clock.now()

    async def back(self, *, lost: bool = False) -> None:
        """Redis does its part again: returns when every worker has seen it."""
        deadline = time.monotonic() + RECOVERY_SECONDS
        while not all([(await worker.call("status")).redis_ok for worker in self.alive]):
            assert time.monotonic() < deadline, "a worker does not find back to Redis"
            await self.tick(0.25)
            await asyncio.sleep(0.01)
        began, self._fault_began = self._fault_began, None
        if began is not None:
            end = self.clock.now() + (ROLLING["minute"][1] if lost else 0.0)
            alone = frozenset(worker.start.number for worker in self.alive)
            self.history.faults.append(Fault(began, end, alone, lost))
        await self._failed_calls()

    async def settle_accounts(self, began: float) -> None:
        """After something that may need Redis: calls that failed although it is there were a fault too, of the machine."""
        if await self._failed_calls():
            self.spurious += 1
            self._fault_began = began
            await self.back()

    async def _failed_calls(self) -> bool:
        failed = False
        for worker in self.alive:
            status = await worker.call("status")
            failures = status.redis_failures
            assert "ResponseError" not in status.fault, status.fault
            failed |= failures > self._failures.get(worker.start.number, 0)
            self._failures[worker.start.number] = failures
        return failed

    def log(self) -> list[Admission]:
        """Everything admitted so far."""
        return read(self.folder / "admissions")

    def check(self) -> None:
        """Judge everything that was admitted."""
        self.history.ended = self.clock.now()
        found = breaches(self.targets, self.log(), self.history)
        assert not found, found

    def exact(self, bucket: int) -> bool:
        """Whether nothing happened that widens the windows that a target's next requests count in."""
        now = self.clock.now()
        if self.history.steps:
            return False
        for limit, key, numbers in owners(self.targets).values():
            if bucket in numbers and not limit.shadow:
                begin, end = self._span(limit, key, now)
                if self.history.slack(limit.amount, begin, end, 1):
                    return False
        return True

    def room(self, bucket: int) -> int:
        """How many more requests for it its windows must admit now, after a quiet time; caps on progress apart."""
        log, now, rooms = self.log(), self.clock.now(), [10**9]
        for limit, key, numbers in owners(self.targets).values():
            if bucket in numbers and not limit.shadow and limit.period != "concurrent":
                begin, _ = self._span(limit, key, now)
                takes = weights(limit, self.targets)
                mine = charged(limit, (e for e in log if e.bucket in numbers))
                used = sum(takes[e.bucket] for e in mine if e.ended >= begin)
                if takes[bucket]:
                    rooms.append((limit.amount - used) // takes[bucket])
        return max(0, min(rooms))

    def _span(self, limit: Any, key: Any, now: float) -> tuple[float, float]:
        if limit.period == "concurrent":
            return 0.0, now
        if limit.period in ROLLING:
            length, slot = ROLLING[limit.period]
            return now - length - 2 * slot, now
        begin, end = window(limit, key, now + self.clock.steps)
        return begin - self.clock.steps, end - self.clock.steps

    def free_slots(self, bucket: int) -> int:
        """How many more requests its caps must let be in progress."""
        log, living, rooms = self.log(), {worker.start.number for worker in self.alive}, [10**9]
        ended = {(entry.worker, entry.number) for entry in log if entry.kind == DONE}
        for limit, _, numbers in owners(self.targets).values():
            if bucket in numbers and not limit.shadow and limit.period == "concurrent":
                held = sum(
                    e.kind == ADMITTED
                    and e.bucket in numbers
                    and e.worker in living
                    and (e.worker, e.number) not in ended
                    for e in log
                )
                rooms.append(limit.amount - held)
        return min(rooms)

    def seconds_to_edge(self, bucket: int) -> float:
        """Until the next end of a fixed window that the target counts in."""
        key, now = self.targets[bucket].key, self.clock.now()
        owned = [(limit, numbers) for limit, _, numbers in owners(self.targets).values() if bucket in numbers]
        fixed = [limit for limit, _ in owned if limit.period in ("hour", "day", "month")]
        return min((self._span(limit, key, now)[1] - now for limit in fixed), default=10.0**9)
