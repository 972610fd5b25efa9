"""The windows that reports look at, in UTC: whole hours up to two days, whole days up to 35, whole weeks beyond, so that few
sums are read.
"""

from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta

from domain.faults import InvalidValue

HOUR, DAY = timedelta(hours=1), timedelta(days=1)
WINDOWS = {
    "1h": HOUR,
    "24h": DAY,
    "7d": 7 * DAY,
    "30d": 30 * DAY,
    "90d": 90 * DAY,
}
CUSTOM = "custom"
LONGEST = 180 * DAY
_HOURLY, _DAILY = 2 * DAY, 35 * DAY
STEPS = {"hour": HOUR, "day": DAY, "week": 7 * DAY}
_HOURS_KEPT = 90 * DAY


@dataclass(frozen=True, slots=True)
class ReportWindow:
    """From `since` to before `until`, both where an hour, a day or a week (`grain`) begins; `until` may lie in the future."""

    name: str
    grain: str
    since: datetime
    until: datetime
    now: datetime

    @property
    def buckets(self) -> tuple[datetime, ...]:
        """Where its hours, days or weeks begin."""
        step = STEPS[self.grain]
        return tuple(self.since + step * number for number in range((self.until - self.since) // step))

    @property
    def end(self) -> datetime:
        """Until when there can be anything."""
        return min(self.until, self.now)

    @property
    def words(self) -> str:
        """As it stands in sentences."""
        return f"from {self.since:%Y-%m-%d %H:%M} to {self.end:%Y-%m-%d %H:%M} UTC"


def window_of(name: str, now: datetime) -> ReportWindow:
    """The window of that name back from `now`, begun at the hour, day or Monday before. Raises InvalidValue."""
    if name not in WINDOWS:
        raise InvalidValue(f"There is no such window. Known: {', '.join(WINDOWS)}; or from and to.")
    return _window(name, now - WINDOWS[name], now, now)


def custom_window(since: datetime, until: datetime | None, now: datetime) -> ReportWindow:
    """Between two moments, rounded outwards. Raises InvalidValue if it is empty, too long, or in the future."""
    end = min(until or now, now)
    if since >= end:
        raise InvalidValue("The window ends before it begins, or lies in the future.")
    if end - since > LONGEST:
        raise InvalidValue(f"A window has at most {LONGEST.days} days.")
    return _window(CUSTOM, since, end, now)


def moment_of(text: str, name: str) -> datetime:
    """A moment written in ISO 8601; one without an offset is in UTC. Raises InvalidValue."""
    try:
        moment = datetime.fromisoformat(text.strip())
        moment = moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)
    except (ValueError, OverflowError):
        raise InvalidValue(f"Write `{name}` as 2026-01-31 or 2026-01-31T10:00 (UTC).") from None
    if not 1970 < moment.year < 9000:
        raise InvalidValue(f"No request was made in the year of `{name}`.")
    return moment


def _window(name: str, since: datetime, until: datetime, now: datetime) -> ReportWindow:
    hourly = until - since <= _HOURLY and since > now - _HOURS_KEPT
    grain = "hour" if hourly else "day" if until - since <= _DAILY else "week"
    first, last = floor(since, grain), floor(until, grain)
    return ReportWindow(name, grain, first, last if last == until and last > first else last + STEPS[grain], now)


def whole_days(window: ReportWindow) -> ReportWindow:
    """The days that a window touches."""
    until = floor(window.until, "day")
    return replace(
        window,
        grain="day",
        since=floor(window.since, "day"),
        until=until if until == window.until else until + DAY,
    )


def floor(at: datetime, grain: str) -> datetime:
    """Where the hour, the day or the week (Monday) of UTC begins that a moment lies in."""
    hour = at.astimezone(UTC).replace(minute=0, second=0, microsecond=0)
    if grain == "hour":
        return hour
    day = hour.replace(hour=0)
    return day if grain == "day" else day - DAY * day.weekday()
