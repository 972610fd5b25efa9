"""The lease protocol as a state machine: Hypothesis chooses plans, requests, faults; the oracle judges the log."""

import asyncio
import random
import tempfile
from collections import Counter
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from domain.quotas.costs import Cost
from domain.spend_caps import cap_limits
from tests.leases.admissions import ADMITTED
from tests.leases.exhausting import exhaust, quiet
from tests.leases.scene import Scene
from tests.leases.worker import Target
from tests.leases.workers import Nursery, RemoteWorker
from tests.leases.world_clock import WorldClock
from tests.snapshots import key, limit, plan
from tests.valkeys import OwnValkey

SERVICE, OPERATION = UUID(int=1), UUID(int=2)
TARGETS = [(None, None, Cost(1, 30)), (SERVICE, None, Cost(3, 0)), (SERVICE, OPERATION, Cost(7, 70))]
"""Services and operations that are called, and what that takes."""
AMOUNTS = {"second": 12, "minute": 30, "hour": 60, "day": 80, "month": 90, "concurrent": 5}
LIVES = ["crash", "crash at work", "stop", "restart", "restart", "restart"]
ENDINGS = ["idle", "idle", "idle", "done", "uncharged", "pulse", "exhaust", "exhaust held", "exhaust orphaned"]
FAULTS = ["script flush", "wipe", "freeze", "server restart", "clock step"]
TICKS = [0.03, 0.1, 0.26, 0.5, 0.8, 0.9, 0.97, 1.03, 2.0, 3.1]
STEPS = [3_600.0, -3_600.0, 3.0, -3.0, 0.2, -0.2]


@dataclass
class Figures:
    """What the examples did."""

    examples: int = 0
    steps: Counter[str] = field(default_factory=Counter)
    admitted: int = 0
    refused: int = 0
    refused_with_room: int = 0
    spurious: int = 0
    exhausted: int = 0

    def lines(self) -> list[str]:
        """For the log of the test run."""
        steps = ", ".join(f"{name} {number}" for name, number in sorted(self.steps.items()))
        head = (
            f"examples {self.examples}, steps {sum(self.steps.values())}, admitted {self.admitted}, refused {self.refused},"
            f" refused at first although there was room {self.refused_with_room}, windows exhausted {self.exhausted},"
            f" calls that the machine delayed {self.spurious}"
        )
        return [head, f"steps: {steps}"]


@dataclass(frozen=True)
class Ground:
    """What all examples of a run share."""

    nursery: Nursery
    clock: WorldClock
    server: OwnValkey
    figures: Figures


@st.composite
def limits(draw: st.DrawFn) -> Any:
    """One limit of any kind, with a small amount."""
    period = draw(st.sampled_from(list(AMOUNTS)))
    service_id, operation_id, _ = draw(st.sampled_from([*TARGETS[:1] * 3, *TARGETS[1:]]))
    made = limit(
        period,
        draw(st.integers(1, AMOUNTS[period])),
        name=f"{period}-{uuid4().hex[:4]}",
        scope=draw(st.sampled_from(["organization", "organization", "key"])),
        shadow=draw(st.sampled_from([False, False, False, True])),
    )
    quota = made.period in {"day", "month"} and made.scope == "organization" and draw(st.booleans())
    return replace(made, service_id=service_id, operation_id=operation_id, unit="quota" if quota else "requests")


CAPS = st.sampled_from([None, None, 100, 170, 600, 2_000])
"""Micro-credits of a spend cap."""


def machine(ground: Ground) -> type[RuleBasedStateMachine]:
    """The state machine on this ground."""

    class Leases(RuleBasedStateMachine):
        def __init__(self) -> None:
            super().__init__()
            self.loop = asyncio.new_event_loop()
            self.scene: Scene | None = None
            self.choice = random.Random(0)
            self.faults: list[str] = []

        def run(self, name: str, step: Any) -> Any:
            ground.figures.steps[name] += 1
            began = ground.clock.now()

            async def whole() -> None:
                await step
                await self.scene.settle_accounts(began)

            self.loop.run_until_complete(whole())

        @initialize(
            sold=st.lists(limits(), min_size=1, max_size=5),
            second_plan=st.lists(limits(), max_size=2),
            edge=st.sampled_from([None, "hour", "day", "month", "anchor"]),
            lead=st.floats(0.5, 12.0),
            error=st.sampled_from([0.0, 0.0, 40.0, -86_400.0 * 20, 86_400.0 * 20]),
            workers=st.integers(1, 4),
            caps=st.tuples(CAPS, CAPS, CAPS, CAPS),
            faults=st.sampled_from([[], [], ["script flush"], *([kind] for kind in FAULTS[1:]), FAULTS]),
        )
        def begin(
            self,
            sold: Any,
            second_plan: Any,
            edge: str | None,
            lead: float,
            error: float,
            workers: int,
            caps: Any,
            faults: list[str],
        ) -> None:
            self.faults = faults
            self.folder = tempfile.TemporaryDirectory(prefix="paid-endpoint-leases-")
            anchor = self._set_clock(edge, lead)
            first, second = plan(*sold), plan(*second_plan)
            terms = {"period_start": anchor, "billing_mode": "quota", "spend_caps": cap_limits(*caps)}
            callers = [replace(key(organization), **terms) for organization in (uuid4(),) for _ in range(2)]
            other = replace(key(), period_start=anchor)
            targets = [Target(caller, first, *target) for caller in callers for target in TARGETS]
            targets += [Target(other, second)]
            self.scene = Scene(Path(self.folder.name), ground.nursery, ground.clock, ground.server, targets, workers)
            for number in range(workers):
                self.loop.run_until_complete(self.scene.birth(clock_error=error if number == 0 else 0.0))

        def _set_clock(self, edge: str | None, lead: float) -> float | None:
            """Go on to shortly before an edge of windows; the subscription's anchor, if months go by one."""
            ground.clock.step(-ground.clock.steps)
            now = ground.clock.now()
            moment = datetime.fromtimestamp(now, UTC)
            month = datetime(moment.year + moment.month // 12, moment.month % 12 + 1, 1, tzinfo=UTC).timestamp()
            ends = {"hour": now // 3_600 * 3_600 + 3_600, "day": now // 86_400 * 86_400 + 86_400, "month": month}
            if edge in ends:
                target = ends[edge] - lead
                ground.clock.advance(target - now if target > now else 0.0)
            return ground.clock.now() + lead if edge == "anchor" else None

        def worker(self, number: int) -> RemoteWorker:
            return self.scene.alive[number % len(self.scene.alive)]

        def bucket(self, number: int) -> int:
            return number % len(self.scene.targets)

        anyone, anything = st.integers(0, 3), st.sampled_from([0, 0, 0, 1, 2, 3, 4, 5, 6])

        @rule(
            who=st.sampled_from(["one", "one", "all", "pressing"]),
            worker=anyone,
            bucket=anything,
            number=st.sampled_from([1, 1, 2, 5, 25]),
            hold=st.booleans(),
        )
        def request(self, who: str, worker: int, bucket: int, number: int, hold: bool) -> None:
            if not self.scene.alive:
                self.run("restart", self.scene.birth())
            if who == "one":
                self.run("request", self.scene.ask(self.worker(worker), self.bucket(bucket), number, hold=hold))
            elif who == "all":
                self.run("burst", self.scene.everyone(self.bucket(bucket), number))
            else:
                self.run("recall", self._pressed(self.bucket(bucket)))

        async def _pressed(self, bucket: int) -> None:
            """One worker takes a little and keeps the rest of its grant; the others ask for more than there is."""
            await self.scene.ask(self.worker(0), bucket, 3)
            for worker in self.scene.alive[1:]:
                await self.scene.ask(worker, bucket, 30)

        @rule(seconds=st.sampled_from(TICKS), bucket=anything, kind=st.sampled_from(ENDINGS), worker=anyone)
        def rest(self, kind: str, seconds: float, bucket: int, worker: int) -> None:
            if kind in {"done", "uncharged"} and self.scene.alive:
                self.run(kind, self.worker(worker).call("done", self.bucket(bucket), 1 + worker, kind == "done"))
                return
            if kind in {"idle", "done", "uncharged"}:
                self.run("idle", self.scene.tick(seconds))
                return
            if not self.scene.alive:
                self.run("restart", self.scene.birth())
            if kind == "pulse":
                self.run("pulse", self._pulses(self.bucket(bucket), seconds))
            else:
                self.run(kind, self._exhausted(self.bucket(bucket), kind))

        async def _pulses(self, bucket: int, seconds: float) -> None:
            """All that can be had, again and again, with pauses that are short of a window or just as long."""
            periods = [limit.period for limit in self.scene.targets[bucket][1].limits]
            length = 60.0 if "minute" in periods and "second" not in periods else 1.0
            for _ in range(4):
                await self.scene.everyone(bucket, 15)
                await self.scene.tick(min(seconds, 1.0) * length)

        @rule(kind=st.sampled_from(LIVES), worker=anyone, bucket=anything, number=st.integers(1, 30))
        def life(self, kind: str, worker: int, bucket: int, number: int) -> None:
            scene = self.scene
            if kind == "restart" or not scene.alive:
                if len(scene.alive) < scene.size:
                    self.run("restart", scene.birth())
            elif kind == "stop":
                self.run("stop", scene.stop(self.worker(worker)))
            elif kind == "crash":
                self.run("crash", scene.kill(self.worker(worker)))
            else:
                self.run("crash at work", self._killed_at_work(self.worker(worker), self.bucket(bucket), number))

        async def _killed_at_work(self, victim: RemoteWorker, bucket: int, number: int) -> None:
            asked = asyncio.ensure_future(victim.ask(bucket, number))
            await asyncio.sleep(0.003 * self.choice.random())
            await self.scene.kill(victim)
            await asyncio.gather(asked, return_exceptions=True)
            # Those whose admission it did not live to write down: what can be had is not known exactly from here on.
            self.scene.unsure += number

        @rule(
            which=st.integers(0, 9), bucket=anything, step=st.sampled_from(STEPS), seconds=st.sampled_from([0.02, 0.4])
        )
        @precondition(lambda self: self.faults)
        def fault(self, which: int, bucket: int, step: float, seconds: float) -> None:
            kind = self.faults[which % len(self.faults)]
            if kind == "script flush":
                self.run(kind, self._commanded("SCRIPT", "FLUSH", "SYNC"))
            elif kind == "wipe":
                self.run(kind, self._wiped())
            elif kind == "freeze":
                self.run(kind, self._frozen(self.bucket(bucket), seconds))
            elif kind == "server restart":
                self.run(kind, self._rebooted(self.bucket(bucket)))
            else:
                self.run(kind, self._stepped(step))

        async def _commanded(self, *words: str) -> None:
            ground.server.command(*words)

        async def _wiped(self) -> None:
            self.scene.wipe()

        async def _stepped(self, seconds: float) -> None:
            self.scene.step(seconds)
            await asyncio.sleep(0.003)

        async def _frozen(self, bucket: int, seconds: float) -> None:
            self.scene.away()
            ground.server.freeze()
            try:
                asked = asyncio.gather(*(self.scene.ask(worker, bucket, 6) for worker in self.scene.alive))
                await asyncio.wait((asked,), timeout=seconds)
            finally:
                ground.server.thaw()
            await asked
            await self.scene.back()

        async def _rebooted(self, bucket: int) -> None:
            self.scene.note_rollups()
            self.scene.away()
            ground.server.kill()
            try:
                await self.scene.everyone(bucket, 4)
            finally:
                ground.server.start()
            await self.scene.back(lost=True)

        async def _exhausted(self, number: int, kind: str) -> None:
            """Of a quiet window; of one whose permits a worker holds ahead of need, or held when it was killed."""
            scene, periods = self.scene, {limit.period for limit in self.scene.targets[number][1].limits}
            await quiet(scene, number)
            if kind != "exhaust":
                await self._warmed(number)
            if kind == "exhaust orphaned":
                await scene.kill(scene.alive[0])
                if not scene.alive:
                    await scene.birth()
            if kind == "exhaust orphaned" or periods & {"second", "minute"}:
                await quiet(scene, number)
            await scene.settle_accounts(ground.clock.now())
            if scene.exact(number):
                failures = scene.spurious
                try:
                    await exhaust(scene, number, self.choice, scene.alive[1:] if kind == "exhaust held" else ())
                except AssertionError:
                    await scene.settle_accounts(ground.clock.now())
                    if scene.spurious == failures:
                        raise
                ground.figures.exhausted += 1

        async def _warmed(self, number: int) -> None:
            """One worker spends for a while, so that it leases ahead of its need."""
            for _ in range(5):
                await self.scene.ask(self.scene.alive[0], number)
                await self.scene.tick(0.1)

        @invariant()
        def nothing_was_broken(self) -> None:
            if self.scene is not None:
                self.scene.check()

        def teardown(self) -> None:
            if self.scene is not None:
                for worker in list(self.scene.alive):
                    self.loop.run_until_complete(self.scene.kill(worker))
                ground.server.command("FLUSHALL")
                figures, scene = ground.figures, self.scene
                figures.examples += 1
                figures.admitted += sum(entry.kind == ADMITTED for entry in scene.log())
                figures.refused += scene.refused
                figures.refused_with_room += scene.refused_with_room
                figures.spurious += scene.spurious
                self.folder.cleanup()
            self.loop.close()

    return Leases
