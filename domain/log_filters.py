"""The filters of request logs as texts, the way a URL has them: read, checked, and told in words."""

import ipaddress
import re
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from domain.faults import InvalidValue
from domain.log_search import LogSearch
from domain.refusals import ALL

OUTCOMES = ("served", "refused", "failed", "cut", "gone")
REFUSALS = tuple(sorted(refusal.code for refusal in ALL))
RANGES = {
    "15m": timedelta(minutes=15),
    "1h": timedelta(hours=1),
    "6h": timedelta(hours=6),
    "24h": timedelta(days=1),
    "3d": timedelta(days=3),
    "7d": timedelta(days=7),
    "30d": timedelta(days=30),
}
"""Presets: back from now."""

NAMES = (
    "range", "from", "to", "zone", "key", "service", "operation", "status", "outcome", "refusal", "method", "path",
    "id", "min_ms", "client",
)  # fmt: skip
"""Every filter, in the order in which they are shown. `zone` is what `from` and `to` without an offset are meant in."""

LONGEST_PATH = 2_048
LONGEST_ZONE = 64
LONGEST_MS = 86_400_000
MOST_KEYS = 20
_STATUS = re.compile(r"[1-5](?:xx|[0-9][0-9])")
_METHOD = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]{1,32}")
_SLUG = re.compile(r"[a-z0-9][a-z0-9-]{0,62}")
_EARLIEST, _LATEST = datetime(1970, 1, 1, tzinfo=UTC), datetime(9000, 1, 1, tzinfo=UTC)
_KEYS = """
select id from api_key where organization_id = $1 and (id::text = $2 or prefix = $2 or name = $2 or public_id = $2) limit $3
"""


async def parse_search(
    connection: Any,
    organization_id: UUID,
    texts: Mapping[str, str],
    *,
    zone: str,
    now: datetime,
    known_keys_only: bool = True,
) -> LogSearch:
    """The search that these filters mean; empty ones do not restrict, others than NAMES are left alone.

    `key` is an id, a name, or what a key begins with (`pe_live_...`), of the organization's own keys. Without
    `known_keys_only` it is an id, and one that is no key's is not told: nothing is found. Raises InvalidValue.
    """
    given = {name: text.strip() for name, text in texts.items() if name in NAMES and text.strip()}
    if any("\x00" in text for text in given.values()):
        raise InvalidValue("A filter holds a character that no log can hold.")
    since, until = _times(given, given.get("zone", zone), now)
    lowest, highest = _statuses(given.get("status"))
    return LogSearch(
        since=since,
        until=until,
        key_ids=await _keys(connection, organization_id, given.get("key"), known_only=known_keys_only),
        service=_matching(given.get("service"), _SLUG, "The service is named by its slug, such as weather."),
        operation_id=_uuid(given.get("operation"), "operation"),
        lowest_status=lowest,
        highest_status=highest,
        outcome=_one_of(given.get("outcome"), OUTCOMES, "outcome"),
        refusal=_one_of(given.get("refusal"), REFUSALS, "refusal code"),
        method=_matching(given.get("method"), _METHOD, "The method is a word such as GET."),
        path=_path(given.get("path")),
        request_id=_uuid(given.get("id"), "request id"),
        least_us=_milliseconds(given.get("min_ms")),
        client=_client(given.get("client")),
    )


def _times(given: Mapping[str, str], zone: str, now: datetime) -> tuple[datetime | None, datetime | None]:
    since, until = _moment(given.get("from"), zone, "from"), _moment(given.get("to"), zone, "to")
    preset = _one_of(given.get("range"), tuple(RANGES), "time range")
    if preset and since is None and until is None:
        since = now - RANGES[preset]
    return since, until


def _moment(text: str | None, zone: str, name: str) -> datetime | None:
    """A moment; one without an offset is meant in the zone. What no row can have is the nearest that one can."""
    if text is None:
        return None
    try:
        moment = datetime.fromisoformat(text)
        if moment.tzinfo is None:
            # A longer one is looked for in as many folders as it has slashes.
            moment = moment.replace(tzinfo=ZoneInfo(zone[:LONGEST_ZONE]))
        moment = moment.astimezone(UTC)
    except OverflowError:
        return _EARLIEST if text < "5" else _LATEST
    except (ValueError, ZoneInfoNotFoundError, OSError):
        raise InvalidValue(f"Write the time `{name}` as 2026-01-31T10:00, in a known time zone.") from None
    return min(max(moment, _EARLIEST), _LATEST)


def _statuses(text: str | None) -> tuple[int | None, int | None]:
    if text is None:
        return None, None
    if not _STATUS.fullmatch(text.lower()):
        raise InvalidValue("The status is a number such as 404, or a class such as 4xx.")
    if text.lower().endswith("xx"):
        return int(text[0]) * 100, int(text[0]) * 100 + 99
    return int(text), int(text)


async def _keys(connection: Any, organization_id: UUID, text: str | None, *, known_only: bool) -> tuple[UUID, ...]:
    if text is None:
        return ()
    if not known_only and _is_uuid(text):
        return (UUID(text),)
    rows = await connection.fetch(_KEYS, organization_id, text.lower() if _is_uuid(text) else text, MOST_KEYS + 1)
    if not rows:
        raise InvalidValue("No API key here has this name, id or beginning.")
    if len(rows) > MOST_KEYS:
        raise InvalidValue(
            f"More than {MOST_KEYS} API keys have this name. Take the beginning of one, such as pe_live_."
        )
    return tuple(row["id"] for row in rows)


def _is_uuid(text: str) -> bool:
    try:
        return str(UUID(text)) == text.lower()
    except ValueError:
        return False


def _uuid(text: str | None, name: str) -> UUID | None:
    if text is None:
        return None
    if not _is_uuid(text):
        raise InvalidValue(f"The {name} is written as 019ac0de-0000-7000-8000-000000000000.")
    return UUID(text)


def _one_of(text: str | None, known: tuple[str, ...], name: str) -> str | None:
    if text is not None and text not in known:
        raise InvalidValue(f"There is no such {name}. Known: {', '.join(known)}.")
    return text


def _matching(text: str | None, pattern: re.Pattern[str], why: str) -> str | None:
    if text is not None and not pattern.fullmatch(text):
        raise InvalidValue(why)
    return text


def _path(text: str | None) -> str | None:
    if text is not None and (not text.startswith("/") or len(text) > LONGEST_PATH):
        raise InvalidValue(f"The path begins with / and has at most {LONGEST_PATH} characters.")
    return text


def _milliseconds(text: str | None) -> int | None:
    if text is None:
        return None
    if not text.isascii() or not text.isdigit() or len(text) > 8 or int(text) > LONGEST_MS:
        raise InvalidValue(f"The least time is a whole number of milliseconds, at most {LONGEST_MS}.")
    return int(text) * 1_000


def _client(text: str | None) -> ipaddress.IPv4Network | ipaddress.IPv6Network | None:
    if text is None:
        return None
    try:
        # Up to the %, behind which an IPv6 address may name a link of one machine; no log has that.
        return ipaddress.ip_network(text.partition("%")[0], strict=False)
    except ValueError:
        raise InvalidValue(
            "The client is an address such as 198.51.100.7, or a network such as 198.51.100.0/24."
        ) from None
