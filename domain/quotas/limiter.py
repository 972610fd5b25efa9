"""Decides whether a request fits its plan's limits: exact in Redis, bounded without it, within its time budget always.

This is the first form: one Lua step in Redis per request, many steps in one message while many requests wait. Permit leases replace it behind the same `consume`.

G1: no number of workers admits more than the limit, because one script on the server's time checks every window and
takes from all or from none. G5: without Redis a decision comes from local.py. Only the requests under way when Redis
goes away wait for the budget; then a probe in the background finds out once a second whether it is back.
A call that is given up may still count in Redis later: that can only admit less.
"""

import asyncio
import hashlib
import logging
from collections.abc import Awaitable
from dataclasses import dataclass
from importlib import resources
from typing import Any
from uuid import UUID

from redis.exceptions import NoScriptError, RedisError

from domain.faults import in_one_line
from domain.quotas.local import LocalLimiter
from domain.quotas.windows import UNLIMITED, WINDOW_SECONDS, Verdict, WindowState, judge
from domain.redis_client import Client, is_cluster, open_client, within
from domain.redis_keys import probe_key, window_key
from domain.settings import RedisSettings
from domain.snapshots import KeySnapshot, PlanSnapshot

__all__ = ["Limiter", "LimiterStatus", "Verdict", "WindowState"]

log = logging.getLogger(__name__)

SCRIPT = resources.files(__package__).joinpath("consume.lua").read_text(encoding="utf-8")
_SHA = hashlib.sha1(SCRIPT.encode(), usedforsecurity=False).hexdigest()
_PROBE_SECONDS = 1.0
_MOST_FLIGHTS = 2
_MOST_ABOARD = 128
"""Messages to Redis at a time, and decisions in one: fewer, fuller messages cost both sides less."""
# RuntimeError is what uvloop raises on writing to a connection that the server has just closed.
_FAULTS = (RedisError, OSError, TimeoutError, RuntimeError)


@dataclass(slots=True)
class LimiterStatus:
    """For /ready and /metrics. Counters since the start of the worker; `fault` is the last reason against Redis."""

    redis_ok: bool = True
    fault: str = ""
    decisions_redis: int = 0
    decisions_local: int = 0
    redis_failures: int = 0
    refused: int = 0
    shadow_refused: int = 0


class Limiter:
    """One per worker. `workers` is how many share the plan's amounts while Redis is away."""

    def __init__(self, settings: RedisSettings, workers: int) -> None:
        self._settings = settings
        self._budget = settings.timeout_ms / 1000
        self._local = LocalLimiter(workers)
        self._plan_arguments: dict[UUID, tuple[PlanSnapshot, tuple[int, ...]]] = {}
        self._status = LimiterStatus()
        self._client: Client = None
        self._waiting: list[tuple[tuple[str | int, ...], asyncio.Future[list[int]]]] = []
        self._flights = 0
        self._tasks: set[asyncio.Task[None]] = set()
        self._probe: asyncio.Task[None] | None = None

    async def start(self) -> None:
        """Connect if Redis is there. A Redis that is away is no reason not to start."""
        self._client = open_client(self._settings)
        try:
            await within(self._budget, self._client.execute_command("SCRIPT", "LOAD", SCRIPT))
        except _FAULTS as fault:
            self._fail(fault)

    async def stop(self) -> None:
        """Close the connections. A limiter that was not started may be stopped."""
        if self._probe is not None:
            self._probe.cancel()
            await asyncio.wait((self._probe,))
        for task in tuple(self._tasks):
            task.cancel()
        if self._tasks:
            await asyncio.wait(self._tasks)
        if self._client is not None:
            await self._client.aclose()

    def status(self) -> LimiterStatus:
        """The live counters; do not change them."""
        return self._status

    def consume(self, key: KeySnapshot, plan: PlanSnapshot) -> Verdict | Awaitable[Verdict]:
        """Take one permit from every window of the plan, or none from any.

        The verdict itself where Redis is not asked: a plan without limits, or Redis known to be away.
        """
        if not plan.limits:
            return UNLIMITED
        if not self._status.redis_ok:
            return self._decide_locally(key, plan)
        return self._consume_in_redis(key, plan)

    async def peek(self, key: KeySnapshot, plan: PlanSnapshot) -> list[WindowState]:
        """Every window as it stands, in the plan's order. Consumes nothing."""
        if not plan.limits:
            return []
        if self._status.redis_ok:
            try:
                return list((await self._ask(key, plan, cost=0)).windows)
            except _FAULTS as fault:
                self._fail(fault)
        return list(self._local.take(key, plan, cost=0).windows)

    async def _consume_in_redis(self, key: KeySnapshot, plan: PlanSnapshot) -> Verdict:
        try:
            verdict = await self._ask(key, plan, cost=1)
        except _FAULTS as fault:
            self._fail(fault)
            return self._decide_locally(key, plan)
        self._status.decisions_redis += 1
        return self._counted(verdict)

    async def _ask(self, key: KeySnapshot, plan: PlanSnapshot, cost: int) -> Verdict:
        keys = [
            window_key(key.organization_id, limit.id, key.id if limit.scope == "key" else None) for limit in plan.limits
        ]
        asked = asyncio.get_running_loop().create_future()
        self._waiting.append(((len(keys), *keys, cost, *self._arguments(plan)), asked))
        if self._flights < _MOST_FLIGHTS:
            self._flights += 1
            task = asyncio.get_running_loop().create_task(self._fly(), name="limits to Redis")
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)
        answer: list[int] = await asked
        return judge(plan.limits, answer[1::2], answer[2::2], cost, taken=bool(answer[0]), source="redis")

    async def _fly(self) -> None:
        """Carry what waits to Redis, all in one message, until nothing does.

        Waiting for a flight is not Redis's time: a burst must not make local what can be exact. But who waited while
        Redis went away must not wait for it too.
        """
        while self._waiting:
            flight, self._waiting = self._waiting[:_MOST_ABOARD], self._waiting[_MOST_ABOARD:]
            try:
                answers = await self._answers([arguments for arguments, _ in flight])
            except asyncio.CancelledError:
                answers = [TimeoutError("the gateway stops")] * len(flight)
            except Exception as fault:  # noqa: BLE001  who waits must hear of whatever it was
                answers = [fault] * len(flight)
            for (_, asked), answer in zip(flight, answers, strict=True):
                if asked.done():
                    continue
                if isinstance(answer, BaseException):
                    asked.set_exception(answer)
                else:
                    asked.set_result(answer)
        self._flights -= 1

    async def _answers(self, calls: list[tuple[str | int, ...]]) -> list[Any]:
        if not self._status.redis_ok:
            raise TimeoutError(self._status.fault)
        return await within(self._budget, self._run_all(calls))

    async def _run_all(self, calls: list[tuple[str | int, ...]]) -> list[Any]:
        """One answer or fault for each call. A cluster's client has no pipeline that runs scripts."""
        if len(calls) == 1:
            return [await self._run(*calls[0])]
        if is_cluster(self._client):
            return await asyncio.gather(*(self._run(*arguments) for arguments in calls), return_exceptions=True)
        pipeline = self._client.pipeline(transaction=False)
        for arguments in calls:
            pipeline.execute_command("EVALSHA", _SHA, *arguments)
        answers = await pipeline.execute(raise_on_error=False)
        for position, answer in enumerate(answers):
            if isinstance(answer, NoScriptError):
                answers[position] = await self._run(*calls[position])
        return list(answers)

    async def _run(self, *arguments: str | int) -> list[int]:
        try:
            answer: list[int] = await self._client.execute_command("EVALSHA", _SHA, *arguments)
        except NoScriptError:
            # A restarted server, or another node of a cluster, has not seen the script: EVAL runs it and keeps it.
            answer = await self._client.execute_command("EVAL", SCRIPT, *arguments)
        return answer

    def _arguments(self, plan: PlanSnapshot) -> tuple[int, ...]:
        known = self._plan_arguments.get(plan.id)
        if known is not None and known[0] is plan:
            return known[1]
        arguments: list[int] = []
        for limit in plan.limits:
            length = 0 if limit.period == "month" else WINDOW_SECONDS[limit.period]
            arguments += (limit.amount, length, int(not limit.shadow))
        self._plan_arguments[plan.id] = plan, tuple(arguments)
        return self._plan_arguments[plan.id][1]

    def _decide_locally(self, key: KeySnapshot, plan: PlanSnapshot) -> Verdict:
        self._status.decisions_local += 1
        return self._counted(self._local.take(key, plan, cost=1))

    def _counted(self, verdict: Verdict) -> Verdict:
        if not verdict.allowed:
            self._status.refused += 1
        if verdict.shadow_violated:
            self._status.shadow_refused += 1
        return verdict

    def _fail(self, fault: Exception) -> None:
        self._status.redis_failures += 1
        self._status.fault = in_one_line(fault)
        if self._status.redis_ok:
            self._status.redis_ok = False
            log.error("Redis is away, limits are local and bounded until it is back: %s", self._status.fault)
            self._probe = asyncio.get_running_loop().create_task(self._probe_until_back(), name="Redis probe")

    async def _probe_until_back(self) -> None:
        """Probe with a write, because a full or read-only server answers PING."""
        while not self._status.redis_ok:
            await asyncio.sleep(_PROBE_SECONDS)
            try:
                await within(self._budget, self._run(1, probe_key(), 1, 1, 1, 0))
            except _FAULTS as fault:
                self._fail(fault)
                continue
            self._status.redis_ok, self._status.fault = True, ""
            log.warning("Redis is back, limits are exact again")
