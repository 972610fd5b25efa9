"""Plans as one organization has them: with overrides of its limits, or in a trial. Made once, then looked up.

The limiter knows a plan by its identity, so the same terms must be the same object for as long as the tables are.
"""

from dataclasses import replace

from domain.entitlements import effective_limits
from domain.limit_overrides import holding
from domain.snapshots import KeySnapshot, LimitOverride, PlanSnapshot

_MOST_HELD = 10_000


class OwnPlans:
    """For the tables of one reading; `clear` with the next."""

    def __init__(self) -> None:
        self._held: dict[tuple[int, tuple[LimitOverride, ...], bool], tuple[PlanSnapshot, PlanSnapshot]] = {}
        self.clear = self._held.clear

    def of(self, plan: PlanSnapshot, key: KeySnapshot, now: float) -> PlanSnapshot:
        """What `plan` is for the key's organization at `now` (Unix seconds): itself, if nothing is special."""
        overrides = holding(key.overrides, now)
        in_trial = key.trialing and plan.trial_calls is not None
        if not overrides and not in_trial:
            return plan
        mark = id(plan), overrides, in_trial
        held = self._held.get(mark)
        if held is not None:
            return held[1]
        if len(self._held) >= _MOST_HELD:
            self._held.clear()
        limits = effective_limits(plan.limits, plan.id, overrides, plan.trial_calls if in_trial else None)
        # With the plan itself, by whose id it is found, so that this stays its id.
        self._held[mark] = plan, replace(plan, limits=limits)
        return self._held[mark][1]
