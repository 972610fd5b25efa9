"""Signals as messages to the main thread: stop, reload; a second stop kills at once."""

import asyncio
import queue
import signal
from collections.abc import Callable, Coroutine
from types import FrameType
from typing import Any, Self, TypeVar

from cli.supervisor.failures import StopRequested

T = TypeVar("T")


class Inbox:
    """Installed from `__enter__` to `__exit__`, in the main thread. `on_force` is called for every stop but the first."""

    def __init__(self, on_force: Callable[[], None]) -> None:
        self.stopping = False
        self._on_force = on_force
        self._reloads: queue.SimpleQueue[None] = queue.SimpleQueue()
        self._before: dict[signal.Signals, Any] = {}

    def __enter__(self) -> Self:
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            self._before[number] = signal.signal(number, self._arrived)
        return self

    def __exit__(self, *_: object) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)

    def check(self) -> None:
        """Raise StopRequested if a stop has arrived."""
        if self.stopping:
            raise StopRequested

    def reload_within(self, seconds: float) -> bool:
        """Wait for up to `seconds`. True if a reload (SIGHUP) arrived; raises StopRequested for a stop."""
        self.check()
        try:
            self._reloads.get(timeout=seconds)
        except queue.Empty:
            return False
        self.check()
        return True

    def run(self, coroutine: Coroutine[Any, Any, T]) -> T:
        """Run a coroutine to its end, or cancel it and raise StopRequested when a stop arrives."""
        return asyncio.run(self._run(coroutine))

    async def _run(self, coroutine: Coroutine[Any, Any, T]) -> T:
        task = asyncio.create_task(coroutine)
        while not task.done():
            await asyncio.wait({task}, timeout=0.1)
            if self.stopping and not task.done():
                task.cancel()
                await asyncio.wait({task}, timeout=5)
                raise StopRequested
        return task.result()

    def _arrived(self, number: int, _frame: FrameType | None) -> None:
        if number == signal.SIGHUP:
            self._reloads.put(None)
        elif self.stopping:
            self._on_force()
        else:
            self.stopping = True
            self._reloads.put(None)  # wakes `reload_within`
