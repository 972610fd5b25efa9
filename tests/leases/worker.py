"""A worker of the lease tests: one Limiter, told what to do over a socket, writing down what it admits.

Commands and answers are pickled pairs behind their length. Each command runs as a task, so many can be under way.
"""

import asyncio
import os
import pickle
import socket
import time
import traceback
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple
from uuid import UUID

from domain.quotas.costs import CREDITS, ONE, QUOTA, Cost
from domain.quotas.limiter import Limiter
from domain.quotas.refill import Question
from domain.settings import RedisSettings
from domain.snapshots import KeySnapshot, PlanSnapshot
from tests.leases.admissions import ADMITTED, DONE, UNCHARGED, Admission, Log
from tests.leases.world_clock import WorkerClock


class Target(NamedTuple):
    """Who asks for what, and what that takes."""

    key: KeySnapshot
    plan: PlanSnapshot
    service_id: UUID | None = None
    operation_id: UUID | None = None
    cost: Cost = ONE


@dataclass(frozen=True, slots=True)
class Start:
    """What a worker begins with. `rollups` is a file with the requests that rollups know: when, whose, what they took."""

    number: int
    url: str
    workers: int
    books: Path
    log: Path
    targets: tuple[Target, ...]
    timeout_ms: int = 5_000
    rollups: Path | None = None
    clock_error: float = 0.0


@dataclass(frozen=True, slots=True)
class Answer:
    """One decision: how long it took (real milliseconds), and what it said."""

    allowed: bool
    milliseconds: float
    violated: tuple[str, ...] = ()
    shadow_violated: tuple[str, ...] = ()
    retry_after: int = 0
    source: str = ""


class Worker:
    def __init__(self, clock: WorkerClock) -> None:
        self.clock = clock
        self.held: dict[int, list[tuple[int, Any, float]]] = {}
        self.count = 0

    async def start(self, start: Start) -> int:
        self.given, self.clock.error = start, start.clock_error
        self.log = Log(start.log)
        settings = RedisSettings(url=start.url, timeout_ms=start.timeout_ms)
        self.limiter = Limiter(settings, start.workers, books=start.books, used=self.used)
        await self.limiter.start()
        return os.getpid()

    async def used(self, question: Question) -> int | None:
        """As the rollups would say: from a file that the test writes, None if it is not there."""
        path = self.given.rollups
        if path is None or not path.exists():
            return None
        rows = pickle.loads(path.read_bytes())
        return sum(
            {QUOTA: cost.units, CREDITS: cost.micro}.get(question.unit, 1)
            for at, ids, cost in rows
            if at >= question.since.timestamp()
            and all(wanted in (None, given) for wanted, given in zip(question[:4], ids, strict=True))
        )

    async def ask(self, bucket: int, count: int, *, hold: bool) -> list[Answer]:
        """`count` requests at once; those that are admitted end at once too, or are held until `done`."""
        return list(await asyncio.gather(*(self._one(bucket, hold=hold) for _ in range(count))))

    async def _one(self, number: int, *, hold: bool) -> Answer:
        bucket = self.limiter.bucket(*self.given.targets[number])
        began, real = self.clock.world(), time.perf_counter()
        if bucket.take():
            answer = Answer(True, 0.0, shadow_violated=tuple(bucket.shadow_violated), source="lease")
            taken_at = bucket.taken_at
        else:
            verdict = await self.limiter.wait(bucket)
            taken_at = verdict.taken_at
            answer = Answer(
                verdict.allowed,
                (time.perf_counter() - real) * 1000,
                verdict.violated,
                verdict.shadow_violated,
                verdict.retry_after_seconds,
                verdict.source,
            )
        if answer.allowed:
            self.count += 1
            self._write(ADMITTED, began, number, self.count)
            if hold:
                self.held.setdefault(number, []).append((self.count, bucket, taken_at))
            else:
                self._end(number, self.count, bucket)
        return answer

    def _end(self, number: int, count: int, bucket: Any) -> None:
        # Written before the slot is free: from here on the request is not in progress in anybody's eyes.
        self._write(DONE, self.clock.world(), number, count)
        bucket.done()

    def _write(self, kind: int, began: float, number: int, count: int) -> None:
        ended, step = self.clock.world(), self.clock.step()
        self.log.write(Admission(began, ended, step, kind, self.given.number, number, count))

    async def done(self, bucket: int, count: int, charged: bool = True) -> int:
        """End up to `count` held requests; how many were. If they are not `charged`, spend caps have it back."""
        held = self.held.get(bucket, [])
        ending = [held.pop() for _ in range(min(count, len(held)))]
        for one, taken, at in ending:
            if not charged:
                self._write(UNCHARGED, self.clock.world(), bucket, one)
                taken.uncharge(at)
            self._end(bucket, one, taken)
        return len(ending)

    async def peek(self, bucket: int) -> list[Any]:
        target = self.given.targets[bucket]
        return await self.limiter.peek(target.key, target.plan)

    async def states(self, bucket: int) -> list[Any]:
        return list(self.limiter.bucket(*self.given.targets[bucket]).states())

    async def status(self) -> Any:
        return self.limiter.status()

    async def stop(self) -> None:
        await self.limiter.stop()


@dataclass
class Port:
    """The socket's side: frames in, answers out."""

    worker: Worker
    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter
    tasks: set[asyncio.Task[None]] = field(default_factory=set)

    async def serve(self) -> None:
        while True:
            try:
                size = int.from_bytes(await self.reader.readexactly(4), "big")
                number, name, arguments, options = pickle.loads(await self.reader.readexactly(size))
            except (asyncio.IncompleteReadError, ConnectionError):
                return
            task = asyncio.get_running_loop().create_task(self._run(number, name, arguments, options))
            self.tasks.add(task)
            task.add_done_callback(self.tasks.discard)

    async def _run(self, number: int, name: str, arguments: Any, options: Any) -> None:
        try:
            result, fault = await getattr(self.worker, name)(*arguments, **options), ""
        except Exception:
            result, fault = None, traceback.format_exc()
        frame = pickle.dumps((number, result, fault))
        self.writer.write(len(frame).to_bytes(4, "big") + frame)


def run(connection: socket.socket, clock: WorkerClock) -> None:
    """Serve until the socket ends, which is the death of the worker: nothing is stopped in order."""

    async def serve() -> None:
        connection.setblocking(False)
        reader, writer = await asyncio.open_unix_connection(sock=connection)
        await Port(Worker(clock), reader, writer).serve()

    asyncio.run(serve())
