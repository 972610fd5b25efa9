"""What becomes of balances that nobody spends: returned when idle, renewed while slots are in use, forgotten when quiet.

A wheel, not a scan: an allowance is looked at about once a second while Redis must be told of it, and once more a while
after that, to be forgotten.
"""

from collections import deque
from time import monotonic

from domain.quotas.allowance import Allowance
from domain.quotas.shapes import CONCURRENT

LOOK_SECONDS = 1.0
_IDLE_SECONDS, _PLENTY_SECONDS = 1.0, 3.0
"""Unspent permits go back after this long; after the second where at least half of the window is free."""
_HEARTBEAT_SECONDS = 10.0
"""Slots in use are leased anew when their lease has only this long to live."""
_QUIET_SECONDS = 90.0
"""Longer than a sliding window: what it remembers tells Redis's clock, if that was set back, how much time has passed."""
_MOST_ALLOWANCES = 50_000
_AT_ONCE = 400
"""Looks in one turn: half a millisecond in which no request is served."""


class Upkeep:
    """Of one worker. `count` is how many allowances there are."""

    def __init__(self) -> None:
        self.count = 0
        self._wheel: deque[tuple[float, Allowance]] = deque()
        self._quiet: deque[tuple[float, Allowance]] = deque()

    def watch(self, allowance: Allowance) -> None:
        """Look at it in a second."""
        if not allowance.wheeled:
            allowance.wheeled = True
            self._wheel.append((monotonic() + LOOK_SECONDS, allowance))

    def calm(self, allowance: Allowance) -> None:
        """Forget it in a while if nothing happens to it."""
        if not allowance.quiet:
            allowance.quiet = True
            self._quiet.append((monotonic() + _QUIET_SECONDS, allowance))

    def turn(self) -> bool:
        """Look at some of what is due; whether more is."""
        now = monotonic()
        for _ in range(_AT_ONCE):
            if not self._wheel or self._wheel[0][0] > now:
                break
            self._look(self._wheel.popleft()[1], now)
        for _ in range(_AT_ONCE):
            if not self._quiet or (self._quiet[0][0] > now and self.count <= _MOST_ALLOWANCES):
                return bool(self._wheel and self._wheel[0][0] <= now)
            allowance = self._quiet.popleft()[1]
            allowance.quiet = False
            self._forget(allowance)
        return self._quiet[0][0] <= now if self._quiet else False

    def _look(self, allowance: Allowance, now: float) -> None:
        allowance.wheeled = False
        if allowance.retired:
            return
        spent = allowance.kept - allowance.left
        if spent != allowance.marked_spent:
            allowance.marked_spent, allowance.marked_at = spent, now
        # A slot that came and went between two looks leaves no other trace.
        if self._due(allowance, now, now - max(allowance.marked_at, allowance.spent_at)):
            allowance.account.mark(allowance)
        if allowance.outstanding:
            self.watch(allowance)
        else:
            self.calm(allowance)

    def _due(self, allowance: Allowance, now: float, idle: float) -> bool:
        if not allowance.enforced:
            return allowance.outstanding
        plenty = 2 * allowance.used <= allowance.amount and allowance.kind != CONCURRENT
        if idle >= (_PLENTY_SECONDS if plenty else _IDLE_SECONDS) and (allowance.left or allowance.lent):
            allowance.returning = True
            return allowance.kind != CONCURRENT or allowance.left > 0 or self._fading(allowance, now)
        return self._fading(allowance, now)

    def _fading(self, allowance: Allowance, now: float) -> bool:
        if allowance.kind == CONCURRENT:
            return allowance.outstanding and allowance.deadline - now < _HEARTBEAT_SECONDS
        return allowance.left > 0 and now >= allowance.deadline

    def _forget(self, allowance: Allowance) -> None:
        account = allowance.account
        if allowance.retired or allowance.wheeled:
            return
        if allowance.outstanding or allowance.pending or account.busy or account.waiting or allowance in account.dirty:
            self.calm(allowance)
            return
        self.count -= 1
        account.forget(allowance)
