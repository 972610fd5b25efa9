"""The windows that usage is looked at in: their edges in a person's time zone, and the rollups that they are made of.

Days are those of the time zone: one has 23 or 25 hours where clocks change. Rollups know whole hours, so every edge lies on
one of UTC: where a day begins at half past or a quarter past, it is cut at the hour before.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import NamedTuple
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

HOUR, DAY = timedelta(hours=1), timedelta(days=1)
HOURS_KEPT = timedelta(days=90) + HOUR
"""How far back the summaries of hours are counted on; before that, only those of days."""
PREVIOUS = 0
"""Slot of the window before."""


class Range(NamedTuple):
    """So much time in so many slots. `days` slots are days of the time zone, others `slot_hours` long."""

    name: str
    label: str
    days: int
    slot_hours: int

    @property
    def slots(self) -> int:
        """How many there are."""
        return self.days if self.slot_hours == 24 else self.days * 24 // self.slot_hours


RANGES = {
    one.name: one
    for one in (
        Range("24h", "24 hours", 1, 1),
        Range("7d", "7 days", 7, 6),
        Range("30d", "30 days", 30, 24),
        Range("90d", "90 days", 90, 24),
    )
}


class Piece(NamedTuple):
    """Rollups of one grain from `first` to before `next`, which count in `slot`."""

    grain: str
    first: datetime
    next: datetime
    slot: int


@dataclass(frozen=True, slots=True)
class Window:
    """`edges` has one more than there are slots; slot i (from 1) is from edges[i-1] to edges[i]. The last ends in the future.

    `hour` is when the present hour began. What is compared with the window before (from `before` to `before_end`) are the
    hours that are over, so that both are equally long.
    """

    range: Range
    zone: str
    now: datetime
    edges: tuple[datetime, ...]
    hour: datetime
    before: datetime
    before_end: datetime

    @property
    def start(self) -> datetime:
        """Where the first slot begins."""
        return self.edges[0]

    @property
    def present(self) -> int:
        """The slot of the present hour alone, which the last slot is read without."""
        return len(self.edges)

    @property
    def snapped(self) -> bool:
        """Whether days are cut at the hour before they begin."""
        return self.range.slot_hours == 24 and any(edge.astimezone(zone_of(self.zone)).minute for edge in self.edges)

    @property
    def snapped_minutes(self) -> int:
        """How many minutes before they begin days are cut; 0 where they begin at an hour of UTC."""
        return -self.start.astimezone(zone_of(self.zone)).minute % 60 if self.snapped else 0

    def pieces(self) -> list[Piece]:
        """What is to be summed: the window before, each slot, and the present hour apart."""
        oldest = self.now - HOURS_KEPT
        found = list(_pieces(self.before, self.before_end, PREVIOUS, oldest))
        for slot, (first, following) in enumerate(zip(self.edges, self.edges[1:], strict=False), 1):
            found += _pieces(first, min(following, self.hour), slot, oldest)
        found += _pieces(self.hour, self.edges[-1], self.present, oldest)
        return found

    def whole(self) -> list[Piece]:
        """The window as one slot."""
        return list(_pieces(self.start, self.edges[-1], 1, self.now - HOURS_KEPT))


def zone_of(name: str) -> ZoneInfo:
    """The time zone of that name; UTC for one that is not known here."""
    try:
        return ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        return ZoneInfo("UTC")


def window_of(range_: Range, now: datetime, zone_name: str) -> Window:
    """The window that ends with the present slot."""
    zone = zone_of(zone_name)
    hour = floor_hour(now)
    if range_.slot_hours == 24:
        edges = tuple(_days(now, zone, range(1 - range_.days, 2)))
        before = next(_days(edges[0], zone, [-range_.days]))
        before_end = _same_clock(hour, zone, -range_.days)
    else:
        last = _slot_end(hour, range_.slot_hours, zone)
        edges = tuple(last - HOUR * range_.slot_hours * step for step in range(range_.slots, -1, -1))
        before, before_end = edges[0] - DAY * range_.days, hour - DAY * range_.days
    if before < now - HOURS_KEPT:
        before = before.replace(hour=0)
    return Window(range_, zone_name, now, edges, hour, before, min(before_end, edges[0]))


def floor_hour(at: datetime) -> datetime:
    """The hour of UTC that a moment lies in."""
    return at.astimezone(UTC).replace(minute=0, second=0, microsecond=0)


def _days(at: datetime, zone: ZoneInfo, steps: Sequence[int] | range) -> Iterator[datetime]:
    """Where days of the zone begin, counted from that of `at`."""
    # A day that was cut at the hour before begins, by the clock, in the last hour of the day before.
    today = (floor_hour(at).astimezone(zone) + timedelta(minutes=59)).date()
    for step in steps:
        midnight = datetime.combine(today + timedelta(days=step), datetime.min.time(), zone)
        yield floor_hour(midnight)


def _same_clock(at: datetime, zone: ZoneInfo, days: int) -> datetime:
    return floor_hour((at.astimezone(zone).replace(tzinfo=None) + timedelta(days=days)).replace(tzinfo=zone))


def _slot_end(hour: datetime, length: int, zone: ZoneInfo) -> datetime:
    """The end of the slot that the present hour lies in; slots of several hours end with the day of the zone."""
    end = hour + HOUR
    while length > 1 and (end.astimezone(zone).hour + (end.astimezone(zone).minute > 0)) % length:
        end += HOUR
    return end


def _pieces(first: datetime, following: datetime, slot: int, oldest: datetime) -> Iterator[Piece]:
    """Whole days of UTC as such, the hours around them; where hours are gone, days from the first on."""
    if first >= following:
        return
    midnight = first.replace(hour=0)
    days_from = midnight if first == midnight or first < oldest else midnight + DAY
    days_to = following.replace(hour=0)
    if days_from >= days_to:
        yield Piece("hour", first, following, slot)
        return
    if first < days_from:
        yield Piece("hour", first, days_from, slot)
    yield Piece("day", days_from, days_to, slot)
    if days_to < following:
        yield Piece("hour", days_to, following, slot)
