"""Limits as people write them: `1000/hour`, `100/minute per key on weather:forecast`, `10 concurrent`, `burst=5/second`.

    [NAME=] AMOUNT/PERIOD   [per key] [on SERVICE[:OPERATION]]
    [NAME=] AMOUNT concurrent [per key] [on SERVICE[:OPERATION]]

A quota is written like a limit of a day or a month and counts units: as many as each operation takes.

The part with the window is read by the `limits` library, so `5 per second` is one too. Several limits of one kind may
stand in a plan; each has a name of its own, which the RateLimit headers show.
"""

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

import limits

from domain.faults import InvalidValue
from domain.names import NAME_LENGTH, valid_slug

PERIODS = ("second", "minute", "hour", "day", "month", "concurrent")
"""In this order limits are listed; `concurrent` caps requests in progress, the others count requests in a window."""
LARGEST_AMOUNT = 10**15
"""Far within what Redis's Lua counts exactly (2**53)."""
QUOTA_PERIODS = ("day", "month")
NAME = re.compile(r"[a-z0-9][a-z0-9_-]{0,39}")

_FORM = (
    "write AMOUNT/PERIOD, such as 1000/hour (second, minute, hour, day or month), or AMOUNT concurrent,"
    " then perhaps: per key, on SERVICE:OPERATION"
)
_PARTS = re.compile(
    r"\s*(?:(?P<name>[^=\s]*)\s*=)?\s*(?P<window>.*?)"
    r"(?:\s+per\s+(?P<scope>key|organization))?(?:\s+on\s+(?P<service>[^\s:]+)(?::(?P<operation>.+?))?)?\s*",
    re.DOTALL,
)
_CONCURRENT = re.compile(r"([0-9]{1,20})\s+concurrent", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class LimitSpec:
    """`amount` requests in one `period`, or in progress at once; shared by the organization or for each key.

    In shadow: counted only. `service` (a slug) and `operation` (its name) narrow what is counted; None is everything.
    `unit` is `requests`, or `quota`: the units that operations take.
    """

    name: str
    amount: int
    period: str
    scope: str = "organization"
    shadow: bool = False
    service: str | None = None
    operation: str | None = None
    unit: str = "requests"

    @property
    def text(self) -> str:
        """As people write it, without its name and without saying whether it is a shadow or a quota."""
        window = f"{self.amount} concurrent" if self.period == "concurrent" else f"{self.amount}/{self.period}"
        target = f":{self.operation}" if self.operation else ""
        return f"{window}{' per key' if self.scope == 'key' else ''}{f' on {self.service}{target}' if self.service else ''}"


def parse_limit(text: str, *, shadow: bool = False) -> LimitSpec:
    """One limit; without a name of its own, it is named after what it counts. Raises InvalidValue."""
    spec = _parsed(text, shadow=shadow)
    return spec if spec.name else replace(spec, name=_candidates(spec)[0])


def parse_limits(enforced: Iterable[str], shadow: Iterable[str] = (), quotas: Iterable[str] = ()) -> list[LimitSpec]:
    """A plan's limits and quotas by period, shortest first. Raises InvalidValue.

    Names that are not given are made: `hour`, `minute-key`, `minute-weather`, `concurrent`, `month-quota`; `hour-shadow`
    for a shadow whose name is taken, then `hour-2`.
    """
    shadows = (_parsed(text, shadow=True) for text in shadow)
    return _in_order(_named([*map(_parsed, enforced), *shadows, *map(_quota, quotas)]))


def limit_texts(specs: Sequence[LimitSpec]) -> list[str]:
    """What, given to `parse_limits` (shadows and quotas apart), makes the same plan: each with its name where it is not the
    made one.
    """
    listed = sorted(specs, key=lambda spec: 2 if spec.unit == "quota" else spec.shadow)
    named: set[str] = set()
    while True:
        made = _named([spec if spec.name in named else replace(spec, name="") for spec in listed])
        other = {spec.name for spec, again in zip(listed, made, strict=True) if spec.name != again.name}
        if not other:
            return [f"{spec.name}={spec.text}" if spec.name in named else spec.text for spec in specs]
        named |= other


def check_names(specs: Sequence[LimitSpec]) -> None:
    """Raise InvalidValue when two limits of one plan have the same name."""
    names = [spec.name for spec in specs]
    for name in names:
        if names.count(name) > 1:
            raise InvalidValue(f"There are two limits named {name}; a plan has one of each name.")


def _parsed(text: str, *, shadow: bool = False) -> LimitSpec:
    """The limit that was written; its name is empty when none was given."""
    parts = _PARTS.fullmatch(text)
    if parts is None:
        raise InvalidValue(f"'{text[:80]}' is no limit: {_FORM}.")
    name, service, operation = parts["name"], parts["service"], parts["operation"]
    if name is not None and not NAME.fullmatch(name):
        raise InvalidValue(f"'{text[:80]}': a limit's name has lower-case letters, digits, - and _, at most 40.")
    if service is not None:
        valid_slug(service)
    if operation is not None and not (len(operation) <= NAME_LENGTH and operation.isprintable()):
        raise InvalidValue(f"'{text[:80]}': that is no operation's name.")
    amount, period = _window(text, parts["window"])
    if not 1 <= amount <= LARGEST_AMOUNT:
        raise InvalidValue(f"'{text[:80]}': the amount lies between 1 and {LARGEST_AMOUNT}.")
    return LimitSpec(name or "", amount, period, parts["scope"] or "organization", shadow, service, operation)


def _quota(text: str) -> LimitSpec:
    spec = replace(_parsed(text), unit="quota")
    if spec.period not in QUOTA_PERIODS or spec.scope != "organization":
        raise InvalidValue(f"'{text[:80]}': a quota is of a day or a month, and all keys of the organization share it.")
    return spec


def _window(text: str, window: str) -> tuple[int, str]:
    if found := _CONCURRENT.fullmatch(window):
        return int(found[1]), "concurrent"
    try:
        items = limits.parse_many(window)
    except ValueError:
        items = []
    if len(items) != 1:
        raise InvalidValue(f"'{text[:80]}' is no limit: {_FORM}.")
    period = items[0].GRANULARITY.name
    if items[0].multiples != 1 or period not in PERIODS:
        raise InvalidValue(f"'{text[:80]}': a limit counts one {', '.join(PERIODS[:-2])} or {PERIODS[-2]}.")
    return items[0].amount, period


def _named(specs: Sequence[LimitSpec]) -> list[LimitSpec]:
    """Each with a name: given ones stay, the others get the first that is free, in order."""
    check_names([spec for spec in specs if spec.name])
    taken = {spec.name for spec in specs}
    named = []
    for spec in specs:
        name = spec.name or next(name for name in _candidates(spec, len(specs)) if name not in taken)
        taken.add(name)
        named.append(replace(spec, name=name))
    return named


def _candidates(spec: LimitSpec, most: int = 1) -> list[str]:
    """Names after what is counted, best first: one more than `most` of them, none longer than a name may be."""
    kind = "quota" if spec.unit == "quota" else "key" if spec.scope == "key" else ""
    parts = (spec.period, kind, spec.service or "", spec.operation or "")
    stem = "-".join(filter(None, (re.sub(r"[^a-z0-9_]+", "-", part.lower()).strip("-") for part in parts)))
    plain = [stem[:40].rstrip("-")]
    shadow = [f"{stem[:33].rstrip('-')}-shadow"] if spec.shadow else []
    return [*plain, *shadow, *(f"{stem[:35].rstrip('-')}-{number}" for number in range(2, most + 2))]


def _in_order(specs: Iterable[LimitSpec]) -> list[LimitSpec]:
    return sorted(specs, key=lambda spec: PERIODS.index(spec.period))
