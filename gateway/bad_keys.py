"""Slows down who guesses keys: after so many unknown keys from one address, 401 becomes 429 (K4).

Only answers to *invalid* keys change; a valid key from the same address is never affected. Bounded by design: counts
live for one window and at most `MAX_ADDRESSES` are remembered, the window is dropped whole when it turns.
"""

from collections.abc import Callable

WINDOW_SECONDS = 60
MAX_ADDRESSES = 65_536


class BadKeyThrottle:
    """Counts invalid keys per address in fixed windows of a minute, in this worker only."""

    def __init__(self, limit: int, monotonic: Callable[[], float]) -> None:
        self._limit = limit
        self._monotonic = monotonic
        self._window = -1
        self._counts: dict[str, int] = {}

    def hit(self, address: str) -> int:
        """Count one invalid key. Return 0, or the whole seconds until this address may fail again."""
        now = self._monotonic()
        window = int(now // WINDOW_SECONDS)
        if window != self._window:
            self._window = window
            self._counts.clear()
        count = self._counts.get(address, 0) + 1
        if count > 1 or len(self._counts) < MAX_ADDRESSES:
            self._counts[address] = count
        return 0 if count <= self._limit else WINDOW_SECONDS - int(now) % WINDOW_SECONDS
