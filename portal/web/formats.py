"""Figures and times as people read them: the filters of the templates."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from markupsafe import Markup, escape

from domain.credit_amounts import MICRO
from domain.limit_words import shared_words
from domain.price_list import month_price

THIN = "\u202f"
_UNITS = ((86_400, "d"), (3_600, "h"), (60, "min"), (1, "s"))


def number(value: float | None) -> str:
    """1234567 as 1,234,567; a dash for nothing."""
    return "\u2013" if value is None else f"{value:,}"


def short_number(value: float) -> str:
    """1234567 as 1.2M, for axes and tiles."""
    for size, unit in ((10**9, "B"), (10**6, "M"), (10**3, "k")):
        if abs(value) >= size:
            text = f"{value / size:.1f}".rstrip("0").rstrip(".")
            return f"{text}{unit}"
    return f"{value:g}"


def credits_(micro: int | None) -> str:
    """Micro-credits as credits with thousands separated, without needless zeros: 1234500000 is 1,234.5."""
    if micro is None:
        return "\u2013"
    whole, fraction = divmod(abs(micro), MICRO)
    text = f"{whole:,}"
    if fraction:
        text += "." + f"{fraction:06d}".rstrip("0")
    return f"\u2212{text}" if micro < 0 else text


def size(count: int | None) -> str:
    """Bytes in the unit that fits: 1536 is 1.5 KB (of 1,000)."""
    if count is None:
        return "\u2013"
    for power, unit in ((10**9, "GB"), (10**6, "MB"), (10**3, "KB")):
        if count >= power:
            return f"{count / power:.1f} {unit}"
    return f"{count} B"


def milliseconds(micros: int | None) -> str:
    """Microseconds as milliseconds, or seconds from ten on."""
    if micros is None:
        return "\u2013"
    if micros >= 10_000_000:
        return f"{micros / 1_000_000:.1f} s"
    return f"{micros / 1000:.1f} ms" if micros < 100_000 else f"{micros // 1000:,} ms"


def percent(part: float, whole: float) -> str:
    """A share with one decimal; 0 % of nothing."""
    return f"{100 * part / whole:.1f}{THIN}%" if whole else f"0{THIN}%"


def local(at: datetime, zone: str) -> datetime:
    """A moment in a person's time zone; UTC if the zone is not known here."""
    try:
        return at.astimezone(ZoneInfo(zone))
    except (ZoneInfoNotFoundError, ValueError):
        return at.astimezone(UTC)


def when(at: datetime | None, zone: str, *, seconds: bool = False) -> Markup | str:
    """A moment as <time> in the person's zone, with the exact one as its title; a dash for none."""
    if at is None:
        return "\u2013"
    moment = local(at, zone)
    shown = moment.strftime("%d %b %Y, %H:%M:%S" if seconds else "%d %b %Y, %H:%M")
    exact = f"{moment:%Y-%m-%d %H:%M:%S %Z} ({at.astimezone(UTC):%H:%M:%S} UTC)"
    return Markup('<time datetime="{}" title="{}">{}</time>').format(
        at.astimezone(UTC).isoformat(timespec="milliseconds"), exact, shown
    )


def ago(at: datetime | None, zone: str) -> Markup | str:
    """How long ago, or in how long, as <time> with the moment as its title; `never` for none."""
    if at is None:
        return "never"
    distance = datetime.now(UTC) - at
    text = "just now" if abs(distance) < timedelta(seconds=5) else _distance(distance)
    return Markup('<time datetime="{}" title="{}">{}</time>').format(
        at.astimezone(UTC).isoformat(timespec="seconds"), f"{local(at, zone):%Y-%m-%d %H:%M:%S %Z}", text
    )


def _distance(distance: timedelta) -> str:
    total = int(abs(distance.total_seconds()))
    size_, unit = next((part for part in _UNITS if total >= part[0]), _UNITS[-1])
    text = f"{total // size_} {unit}"
    return f"{text} ago" if distance > timedelta() else f"in {text}"


def code(text: str) -> Markup:
    """Text in a <code> that may break after slashes."""
    return Markup("<code>{}</code>").format(Markup(str(escape(text)).replace("/", "/<wbr>")))  # noqa: S704  escaped


def span(seconds: int) -> str:
    """Seconds in the unit that fits, two where the first is small: 5400 is 1 h 30 min."""
    parts, left = [], seconds
    for size_, unit in _UNITS:
        count, left = divmod(left, size_)
        if count:
            parts.append(f"{count} {unit}")
        elif parts:
            break
    return " ".join(parts[:2]) or "0 s"


FILTERS: dict[str, Callable[..., Any]] = {
    "number": number,
    "short_number": short_number,
    "credits": credits_,
    "size": size,
    "milliseconds": milliseconds,
    "when": when,
    "ago": ago,
    "code": code,
    "month_price": month_price,
    "limit_words": shared_words,
    "span": span,
}
