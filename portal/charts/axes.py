"""Axes that people can read: round steps, few labels, times of the person's zone."""

import math
from collections.abc import Callable, Sequence
from datetime import datetime
from typing import NamedTuple

from domain.analytics.windows import Window, zone_of

_STEPS = (1, 2, 2.5, 5, 10)
_HOURS = (1, 2, 3, 4, 6, 8, 12)
_DAYS = (1, 2, 5, 7, 10, 15, 30)


class Mark(NamedTuple):
    """A label below the slot of that number, counted from 0."""

    slot: int
    text: str


def ticks(largest: float, most: int = 4, *, whole: bool = False) -> list[float]:
    """0 and round steps up to the first that is not below `largest`; at most `most` steps. `whole`: no fractions."""
    if not math.isfinite(largest) or largest <= 0:
        return [0.0, 1.0]
    rough = largest / most
    power = 10.0 ** math.floor(math.log10(rough))
    step = next(size * power for size in _STEPS if size * power >= rough * (1 - 1e-9))
    if whole:
        step = max(1.0, math.ceil(step - 1e-9))
    return [step * place for place in range(math.ceil(largest / step - 1e-9) + 1)]


def marks(window: Window, most: int) -> list[Mark]:
    """Labels of the slots, not more than about `most`: clock times within a day, else dates."""
    zone = zone_of(window.zone)
    begins = [_told(edge, window).astimezone(zone) for edge in window.edges[:-1]]
    if window.range.days == 1:
        step = _step(_HOURS, len(begins), most)
        return [Mark(slot, f"{at:%H:%M}") for slot, at in enumerate(begins) if at.hour % step == 0]
    if window.range.slot_hours < 24:
        days = [Mark(slot, f"{at:%a} {at.day}") for slot, at in enumerate(begins) if at.hour < window.range.slot_hours]
        return _every(days, _step(_DAYS, len(days), most))
    every = [Mark(slot, f"{at.day} {at:%b}") for slot, at in enumerate(begins)]
    return _every(every, _step(_DAYS, len(every), most))


def slot_names(window: Window) -> list[str]:
    """Each slot in words, for tooltips and tables."""
    zone = zone_of(window.zone)
    names = []
    for first, following in zip(window.edges, window.edges[1:], strict=False):
        begin, end = _told(first, window).astimezone(zone), _told(following, window).astimezone(zone)
        day = f"{begin:%a} {begin.day} {begin:%b}"
        names.append(day if window.range.slot_hours == 24 else f"{day}, {begin:%H:%M}\u2013{end:%H:%M}")
    return names


def _told(edge: datetime, window: Window) -> datetime:
    """The midnight that an edge stands for, where it was cut at the hour before."""
    local = edge.astimezone(zone_of(window.zone))
    if window.range.slot_hours < 24 or not local.minute:
        return edge
    return edge.replace(minute=60 - local.minute)


def _step(sizes: Sequence[int], count: int, most: int) -> int:
    return next((size for size in sizes if count / size <= most), sizes[-1])


def _every(found: list[Mark], step: int) -> list[Mark]:
    """Each so many-th, counted from the last."""
    return found[(len(found) - 1) % step :: step] if found else []


Format = Callable[[float], str]
