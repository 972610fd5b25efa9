"""What a worker holds of one organization's credits. Taking and giving back wait for nobody.

At any moment: granted in all = `left` + `held` + `spent` + `returned`. What is settled is in the journal.
"""

import asyncio
from collections import deque
from collections.abc import Callable
from time import monotonic
from uuid import UUID

from domain.credit_amounts import credits_text
from domain.credits.leasing import Ask, Granted
from domain.refusals import OutOfCredits

_MOST = 2**62
NOTHING = -_MOST
"""In the place of `left` once nothing may be spent any more, whatever comes back."""

_FIRST = 20
"""Requests' worth that the first lease should hold, where there is enough."""
_HOLD_SECONDS, _LOW_SHARE = 4, 4
"""A lease holds what is spent in so many seconds; it is renewed when this part of it is left."""
_RICH_SECONDS, _RICH_PART, _RICH_LOW_SHARE = 180, 100, 2
"""One that is no more than this part of what is nobody's may hold as much as that, so that it outlasts an outage."""
_SHORTEST_MS = 50
_RECALL_SECONDS = 0.2
_BUSY_SECONDS = 0.003, 0.05
_SHUT_SECONDS, _SHUT_SHORTLY_SECONDS = 1.0, 0.25
TOP_UP = "Buy credits in the portal under Credits, or ask your operator."


class Wait:
    """A request that waits for `price`."""

    __slots__ = ("answer", "price")

    def __init__(self, price: int, answer: "asyncio.Future[None]") -> None:
        self.price, self.answer = price, answer


class Wallet:
    """One organization's in one worker. `renew(self)` is asked for more when `left` falls below `low`.

    `available` is what nobody held and `elsewhere` what others held, when the ledger was last asked. `call` is an ask
    without an answer yet: it is made again as it is, unless it is `flying`.
    """

    __slots__ = (
        "_busy", "_dry_until", "_episode", "_marked", "_marked_at", "_pause", "_rate", "_renew", "_said", "_shut_price",
        "_shut_until", "available", "call", "elsewhere", "flying", "heard_at", "held", "left", "low", "moved_at", "organization_id",
        "queued", "retired", "returned", "returning", "spent", "waiting",
    )  # fmt: skip

    def __init__(self, organization_id: UUID, renew: Callable[["Wallet"], None]) -> None:
        self.organization_id, self._renew = organization_id, renew
        self.left = self.held = self.spent = self.low = 0
        self.available = self.elsewhere = 0
        self.returned: int | None = None
        self.returning = self.queued = self.flying = self.retired = False
        self.call: Ask | None = None
        self.waiting: deque[Wait] = deque()
        self._rate = self._marked = self._shut_price = 0
        self._marked_at = self.moved_at = self.heard_at = monotonic()
        self._shut_until = self._dry_until = self._episode = 0.0
        self._pause = self._busy = 0.0
        self._said: dict[int, tuple[int, bytes]] = {}

    # -- what a request uses

    def take(self, price: int) -> bool:
        """Hold `price` micro-credits for a request; False, and nothing is held, if they are not here."""
        left = self.left - price
        if left < 0:
            return False
        self.left = left
        self.held += price
        if left < self.low:
            self._renew(self)
        return True

    def settle(self, price: int, cost: int) -> None:
        """End what `take` began: `cost` of the `price` is spent, the rest is here again. Once for each take."""
        self.held -= price
        self.spent += cost
        if cost != price:
            self.left += price - cost
            if self.waiting:
                self.serve()

    def refusal(self, price: int, now: float) -> OutOfCredits | None:
        """The answer for a request for which nothing was here, if the ledger has just said that there is no more."""
        return self._refused(price) if now < self._shut_until and price >= self._shut_price else None

    def remaining(self) -> int:
        """What the organization can still spend, as far as is known here; what is held for requests is not counted."""
        return max(0, self.left) + self.available + self.elsewhere

    def lines(self, cost: int, coming_back: int) -> bytes:
        """The two fields of an answer that costs so much, as lines of a head; `coming_back` when it is settled."""
        remaining = self.remaining() + coming_back
        said = self._said.get(cost)
        if said is None or said[0] != remaining:
            if len(self._said) > _FIRST:
                self._said.clear()
            text = f"x-credits-charged: {credits_text(cost)}\r\nx-credits-remaining: {credits_text(remaining)}\r\n"
            said = self._said[cost] = remaining, text.encode()
        return said[1]

    # -- what the worker's wallets use

    def ask(self, number: int) -> Ask | None:
        """What to say to the ledger now; None: nothing."""
        if self.call is not None:
            return self.call
        waiting = [wait.price for wait in self.waiting if not wait.answer.done()]
        if self.returning and self.left > 0 and self.returned is not None:
            self.returned += self.left
            self.left = 0
        giving, self.returning = self.returning, False
        need = min(_MOST, max(0, sum(waiting) - self.left)) if waiting else 0
        least = max(0, min(waiting) - self.left) if waiting else 0
        want = 0
        if waiting or not giving:
            pace = self._pace()
            rich = min(pace * _RICH_SECONDS, self.available // _RICH_PART)
            want = max(pace * _HOLD_SECONDS, rich, _FIRST * max(waiting, default=0)) - self.left
        want = min(_MOST, max(0, want))
        self.call = Ask(self.organization_id, number, need, least, want, self.returned, bool(need))
        return self.call

    def land(self, answer: Granted) -> float | None:
        """Take in the answer to `call`, serve who waits. Seconds after which to ask again, None if there is no need."""
        call, self.call = self.call, None
        assert call is not None
        self._busy = 0.0
        now = self.heard_at = monotonic()
        if self.returned is None:
            self.returned = answer.returned
        self.left += answer.granted
        self.available, self.elsewhere = answer.available, answer.elsewhere
        self.serve()
        if answer.granted:
            self._dry_until = 0.0
            self.low = self.left // (_RICH_LOW_SHARE if self._is_rich() else _LOW_SHARE)
        elif call.want:
            self._dry_until = now + _SHUT_SECONDS
        if not self.waiting:
            self._episode = 0.0
            return 0.0 if self.returning and self.left > 0 else None
        if not self._episode:
            self._episode, self._pause = now + _RECALL_SECONDS, 0.002
        if self.available + self.left >= min(wait.price for wait in self.waiting):
            return 0.0  # who came while the call was under way
        if self.elsewhere > 0 and now < self._episode:
            self._pause = min(2 * self._pause, 0.03)
            return self._pause
        self._refuse(now)
        return None

    def busy(self) -> float:
        """Seconds after which to make `call` again, because the account was busy at that moment: more each time."""
        self._busy = min(2 * self._busy, _BUSY_SECONDS[1]) or _BUSY_SECONDS[0]
        return self._busy

    def serve(self) -> None:
        """Give to who waits, in their order, what is here; who wants more than that is passed over."""
        rest: deque[Wait] = deque()
        for wait in self.waiting:
            if wait.answer.done():
                continue
            if wait.price <= self.left:
                self.left -= wait.price
                self.held += wait.price
                wait.answer.set_result(None)
            else:
                rest.append(wait)
        self.waiting = rest

    def fail(self, fault: Exception) -> None:
        """Nobody can say: for all who wait."""
        waiting, self.waiting = self.waiting, deque()
        for wait in waiting:
            if not wait.answer.done():
                wait.answer.set_exception(fault)

    def shut(self) -> None:
        """Nothing of this is to be spent any more."""
        self.left, self.low, self.retired = NOTHING, 0, True

    def look(self, now: float) -> None:
        """About twice a second: how fast it is spent, and whether it is."""
        if self.waiting:
            self.serve()
        used = self.spent + self.held
        if used != self._marked or self.waiting:
            self.moved_at = now
        pace = self._recent(now)
        self._rate = pace if pace > self._rate else (self._rate + pace) // 2
        self._marked, self._marked_at = used, now
        if not self.low and self.left > 0 and now >= self._dry_until:
            self.low = self.left // _RICH_LOW_SHARE if self._is_rich() else min(self._rate, self.left // _LOW_SHARE)

    def is_plenty(self) -> bool:
        """Whether at least half of what there is is nobody's."""
        return self.available > self.left + self.elsewhere

    def is_quiet(self) -> bool:
        """Whether it could be forgotten."""
        return not (self.left or self.held or self.waiting or self.queued or self.returning) and self.call is None

    # -- inside

    def _refuse(self, now: float) -> None:
        waiting, self.waiting = self.waiting, deque()
        self._episode = 0.0
        self._shut_price = min(wait.price for wait in waiting)
        self._shut_until = now + (_SHUT_SHORTLY_SECONDS if self.elsewhere else _SHUT_SECONDS)
        for wait in waiting:
            if not wait.answer.done():
                wait.answer.set_exception(self._refused(wait.price))

    def _refused(self, price: int) -> OutOfCredits:
        return out_of_credits(price, max(0, self.left) + self.available)

    def _is_rich(self) -> bool:
        return self.left * _RICH_PART <= self.available

    def _pace(self) -> int:
        """Micro-credits a second, lately."""
        return max(self._rate, self._recent(monotonic()))

    def _recent(self, now: float) -> int:
        spent = max(0, self.spent + self.held - self._marked)
        return spent * 1000 // max(_SHORTEST_MS, int((now - self._marked_at) * 1000))


def out_of_credits(required: int, available: int) -> OutOfCredits:
    """The refusal of a request that costs more micro-credits than there are."""
    return OutOfCredits(
        f"This costs {credits_text(required)} credits, {credits_text(available)} are available. {TOP_UP}",
        required_credits=credits_text(required),
        required_micro=required,
        available_credits=credits_text(available),
        available_micro=available,
        top_up=TOP_UP,
    )
