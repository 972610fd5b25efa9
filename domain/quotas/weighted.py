"""A bucket of whose windows a request takes more than one permit, or none: units of quotas, micro-credits of spend caps."""

from time import monotonic

from domain.quotas.account import Account
from domain.quotas.allowance import Allowance
from domain.quotas.bucket import Bucket, put_back
from domain.quotas.costs import CREDITS


class WeightedBucket(Bucket):
    """As `Bucket`, all or nothing, with the weights that it was made with. A weight of 0 takes nothing and asks nobody."""

    __slots__ = ("_needs", "_spends")
    weighted = True

    def attach(self, account: Account) -> None:
        """As that of `Bucket`."""
        super().attach(account)
        weighted = tuple(zip(self.allowances, self.weights, strict=True))
        self._needs = tuple((a, weight) for a, weight in weighted if a.enforced and weight)
        self._spends = tuple((a, weight) for a, weight in self._needs if a.limit.unit == CREDITS)

    @property
    def needs(self) -> tuple[tuple[Allowance, int], ...]:
        """What can refuse, and how many permits a request takes of each."""
        return self._needs

    def take(self) -> bool:
        """The weight of every enforced window, and a slot of every cap. False: not all of it is here now."""
        now = monotonic()
        for allowance, weight in self._needs:
            if allowance.left < weight or now >= allowance.deadline:
                return False
        for allowance, weight in self._needs:
            left = allowance.left = allowance.left - weight
            allowance.cells[allowance.at] = left
            allowance.spent_at = now
            if weight > allowance.stride:  # noqa: PLR1730  max() costs a call
                allowance.stride = weight
            if left <= allowance.low:
                allowance.lack()
        for allowance, _ in self._spends:
            allowance.pending += 1
        self.taken_at = now
        if self._shadows:
            self._count_shadows(now)
        return True

    def take_what_is_here(self, now: float, clock: float) -> None:
        """Admitted without Redis: spend what is leased, owe the rest."""
        super().take_what_is_here(now, clock)
        for allowance, _ in self._spends:
            allowance.pending += 1

    def done(self) -> None:
        """The request is over: its slots come back, and nothing of it can be given back any more."""
        super().done()
        for allowance, _ in self._spends:
            allowance.pending -= 1

    def uncharge(self, taken_at: float, charged: int = 0) -> None:
        """Before `done`, once: of what the request took of spend caps at (or after) `taken_at`, keep only what it was charged.

        `taken_at` are monotonic seconds, `charged` micro-credits. A cap whose window has turned since keeps all of it.
        """
        for allowance, weight in self._spends:
            if weight > charged:
                put_back(allowance, weight - charged, taken_at)
