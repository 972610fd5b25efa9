"""What somebody wants to see of a report, from texts as a URL or a command line has them."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any
from uuid import UUID

from domain.faults import InvalidValue
from domain.reports.shapes import Named, ReportChoice, ReportKind
from domain.reports.windows import ReportWindow, custom_window, moment_of, window_of

MOST_ROWS = 500
MOST_PAGES = 200
_ORGANIZATION = "select id, name, slug as detail from organization where slug = $1"
_SERVICE = "select id, name, slug as detail from service where slug = $1"
_OPERATION = (
    "select o.id, o.name, s.slug as detail from operation o join service s on s.id = o.service_id where o.id = $1"
)


async def parse_choice(connection: Any, kind: ReportKind, texts: Mapping[str, str], now: datetime) -> ReportChoice:
    """The choice that these texts mean; empty ones are as if missing, and the report's own defaults fill up.

    `window` (1h, 24h, 7d, 30d, 90d), or `from` and `to`; `organization` and `service` by slug, `operation` by id; `limit`,
    `page`, `which`. What the report does not take is left alone. Raises InvalidValue.
    """
    given = {name: text.strip() for name, text in texts.items() if text and text.strip()}
    if any("\x00" in text for text in given.values()):
        raise InvalidValue("A parameter holds a character that no name can hold.")
    taken = set(kind.parameters)
    return ReportChoice(
        window=_window(given if "window" in taken else {}, kind, now),
        organization=await _named(connection, _ORGANIZATION, given, "organization", taken),
        service=await _named(connection, _SERVICE, given, "service", taken),
        operation=await _named(connection, _OPERATION, given, "operation", taken),
        limit=_number(given, "limit", 50, MOST_ROWS) if "limit" in taken else MOST_ROWS,
        page=_number(given, "page", 1, MOST_PAGES) if "page" in taken else 1,
        which=_which(given, kind),
    )


def _window(given: Mapping[str, str], kind: ReportKind, now: datetime) -> ReportWindow:
    if "from" in given:
        until = moment_of(given["to"], "to") if "to" in given else None
        return custom_window(moment_of(given["from"], "from"), until, now)
    if "to" in given:
        raise InvalidValue("`to` needs `from`.")
    return window_of(given.get("window", kind.window), now)


async def _named(connection: Any, statement: str, given: Mapping[str, str], name: str, taken: set[str]) -> Named | None:
    if name not in taken or name not in given:
        return None
    value: Any = given[name]
    if name == "operation":
        try:
            value = UUID(value)
        except ValueError:
            raise InvalidValue("The operation is written as 019ac0de-0000-7000-8000-000000000000.") from None
    row = await connection.fetchrow(statement, value)
    if row is None:
        raise InvalidValue(f"There is no such {name}.")
    return Named(**row)


def _number(given: Mapping[str, str], name: str, default: int, most: int) -> int:
    text = given.get(name, str(default))
    if not (text.isascii() and text.isdigit() and len(text) <= 6 and 1 <= int(text) <= most):
        raise InvalidValue(f"`{name}` is a whole number from 1 to {most}.")
    return int(text)


def _which(given: Mapping[str, str], kind: ReportKind) -> str:
    if not kind.which:
        return ""
    which = given.get("which", kind.which[0])
    if which not in kind.which:
        raise InvalidValue(f"`which` is one of {', '.join(kind.which)}.")
    return which
