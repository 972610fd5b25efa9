"""A value that is dear to read and the same for everybody, kept for a short time."""

import asyncio
import time
from collections.abc import Awaitable, Callable
from typing import Generic, TypeVar

T = TypeVar("T")


class Kept(Generic[T]):
    """At most `seconds` old. Of several who ask at once, one reads and the others wait for it; a fault keeps nothing."""

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds
        self._lock = asyncio.Lock()
        self._value: T | None = None
        self._until = 0.0

    async def get(self, read: Callable[[], Awaitable[T]]) -> T:
        """The value, read anew if it is too old. Raises what `read` raises."""
        async with self._lock:
            if self._value is None or time.monotonic() >= self._until:
                self._value = await read()
                self._until = time.monotonic() + self._seconds
            return self._value
