"""Spend caps as options: `--day 5.00 --month none`."""

from typing import Annotated

import typer

from cli.output import USAGE, fail
from domain.faults import InvalidValue
from domain.spend_caps import CapChange, parse_cap

Day = Annotated[str | None, typer.Option("--day", help="Most credits of a UTC day, such as 5.00; none takes it off.")]
Month = Annotated[str | None, typer.Option("--month", help="Most credits of a period; none takes it off.")]
OfDay = Annotated[str | None, typer.Option("--spend-cap-day", help="Most credits of a UTC day; default: no cap.")]
OfMonth = Annotated[str | None, typer.Option("--spend-cap-month", help="Most credits of a period; default: no cap.")]


def caps_of(day: str | None, month: str | None) -> CapChange:
    """The caps that are given; a wrong amount ends the command."""
    try:
        return {period: parse_cap(text) for period, text in (("day", day), ("month", month)) if text is not None}
    except InvalidValue as fault:
        fail(str(fault), USAGE)


def given_caps(day: str | None, month: str | None) -> CapChange:
    """The same, at least one."""
    caps = caps_of(day, month)
    if not caps:
        fail("Give --day or --month.", USAGE)
    return caps
