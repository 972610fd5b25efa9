"""Limits as people write them: `1000/hour`, `5 per second`."""

from collections.abc import Iterable
from dataclasses import dataclass

import limits

from domain.faults import InvalidValue

PERIODS = ("second", "minute", "hour", "day", "month")
LARGEST_AMOUNT = 10**15
"""Far within what Redis's Lua counts exactly (2**53)."""


@dataclass(frozen=True, slots=True)
class LimitSpec:
    """`amount` requests in one `period`, shared by the organization or for each key; in shadow: counted only."""

    name: str
    amount: int
    period: str
    scope: str = "organization"
    shadow: bool = False

    @property
    def text(self) -> str:
        """As people write it."""
        return f"{self.amount}/{self.period}"


def parse_limit(text: str, *, shadow: bool = False, scope: str = "organization") -> LimitSpec:
    """One limit, named after its period. Raises InvalidValue."""
    try:
        items = limits.parse_many(text)
    except ValueError:
        items = []
    if len(items) != 1:
        raise InvalidValue(f"'{text[:80]}' is no limit: write AMOUNT/PERIOD, such as 1000/hour.")
    period = items[0].GRANULARITY.name
    if items[0].multiples != 1 or period not in PERIODS:
        raise InvalidValue(f"'{text[:80]}': a limit counts one {', '.join(PERIODS[:-1])} or {PERIODS[-1]}.")
    if not 1 <= items[0].amount <= LARGEST_AMOUNT:
        raise InvalidValue(f"'{text[:80]}': the amount lies between 1 and {LARGEST_AMOUNT}.")
    if scope not in ("organization", "key"):
        raise InvalidValue("A limit is shared by the organization or counts for each key.")
    return LimitSpec(period, items[0].amount, period, scope, shadow)


def parse_limits(enforced: Iterable[str], shadow: Iterable[str] = ()) -> list[LimitSpec]:
    """A plan's limits, shortest period first. A shadow beside an enforced limit of its period is `hour-shadow`."""
    specs = [parse_limit(text) for text in enforced]
    taken = {spec.name for spec in specs}
    for text in shadow:
        spec = parse_limit(text, shadow=True)
        name = f"{spec.name}-shadow" if spec.name in taken else spec.name
        specs.append(LimitSpec(name, spec.amount, spec.period, spec.scope, shadow=True))
    check_names(specs)
    return sorted(specs, key=lambda spec: PERIODS.index(spec.period))


def check_names(specs: list[LimitSpec]) -> None:
    """Raise InvalidValue when two limits of one plan have the same name."""
    names = [spec.name for spec in specs]
    for name in names:
        if names.count(name) > 1:
            raise InvalidValue(f"There are two limits named {name}; a plan has one for each period.")
