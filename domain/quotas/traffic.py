"""The line of organizations that have something to ask of Redis, and the flights that carry it there and back."""

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable
from typing import Any

from domain.quotas import flights
from domain.quotas.account import Account, Call
from domain.redis_client import Client

_MOST_FLIGHTS = 2
_MOST_ABOARD = 128
"""Messages to Redis at a time, and organizations in one: fewer, fuller messages cost both sides less."""


class Traffic:
    """`land` gets each call with its answer or exception, and must not raise. `away()` says whether not to fly at all."""

    def __init__(self, holder: str, budget: float, land: Callable[[Call, Any], None], away: Callable[[], bool]) -> None:
        self.holder = holder
        self._budget, self._land, self._away = budget, land, away
        self.client: Client = None
        self._sequence = 0
        self._line: deque[Account] = deque()
        self._flights = 0
        self._tasks: set[asyncio.Task[None]] = set()

    def queue(self, account: Account) -> None:
        """Carry what waits in an account, as soon as its call under way has landed."""
        if account.queued or account.busy:
            return
        account.queued = True
        self._line.append(account)
        if self._flights < _MOST_FLIGHTS:
            self._flights += 1
            self.spawn(self._fly())

    def spawn(self, work: Awaitable[None]) -> None:
        """A task that `stop` ends."""
        task = asyncio.ensure_future(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def settle(self) -> None:
        """Wait until nothing is in line or under way."""
        while self._tasks:
            await asyncio.wait(tuple(self._tasks))

    async def stop(self) -> None:
        """Cancel what is under way; who waits for it is told."""
        self._line.clear()
        while self._tasks:
            for task in tuple(self._tasks):
                task.cancel()
            await asyncio.wait(tuple(self._tasks), timeout=0.1)

    async def _fly(self) -> None:
        while self._line:
            calls: list[Call] = []
            while self._line and len(calls) < _MOST_ABOARD:
                account = self._line.popleft()
                account.queued = False
                call = account.call()
                if call.windows:
                    account.busy = True
                    self._sequence += 1
                    account.write(call, self.holder, self._sequence)
                    calls.append(call)
            if not calls:
                continue
            answers: list[Any]
            try:
                if self._away():
                    answers = [TimeoutError("Redis is away")] * len(calls)
                else:
                    answers = await flights.ask(self.client, calls, self._budget)
            except asyncio.CancelledError:
                answers = [TimeoutError("the gateway stops")] * len(calls)
            for call, answer in zip(calls, answers, strict=True):
                call.account.busy = False
                self._land(call, answer)
        self._flights -= 1
