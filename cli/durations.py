"""Durations as people write them: `30d`, `24h`, `15m`, `90s`, `2w`."""

import re
from datetime import UTC, datetime, timedelta

import typer

UNITS = {"s": 1, "m": 60, "h": 3_600, "d": 86_400, "w": 604_800}
LONGEST = timedelta(days=36_500)


def parse_duration(text: str) -> timedelta:
    """A duration of whole units. Raises typer.BadParameter (exit status 2)."""
    found = re.fullmatch(r"([0-9]{1,12})([smhdw])", text.strip())
    if not found or (seconds := int(found[1]) * UNITS[found[2]]) > LONGEST.total_seconds():
        raise typer.BadParameter(f"'{text}' is no duration: write 30d, 24h or 15m.")
    return timedelta(seconds=seconds)


def moment_after(text: str | None) -> datetime | None:
    """Now and a duration; None for None."""
    return None if text is None else datetime.now(UTC) + parse_duration(text)
