"""One row of the request log, and what must never get into it.

No secret in a row (G7): the values of parameters that look secret and anything that looks like one of our keys are
replaced by `***`. Text is always storable: valid UTF-8, no NUL, bounded in length.
"""

import ipaddress
import re
from dataclasses import dataclass, fields
from datetime import datetime
from functools import lru_cache
from typing import Any
from urllib.parse import unquote_plus
from uuid import UUID

MASK = "***"
PATH_LENGTH = 2_048
USER_AGENT_LENGTH = 512
_SHORT_LENGTH = 128
"""The columns of times hold 35 minutes; what takes longer is stored as that."""

_SECRET_NAMES = frozenset(
    {
        "key",
        "auth",
        "code",
        "sig",
        "pwd",
        "pass",
        "passphrase",
        "sid",
        "jwt",
        "bearer",
        "authorization",
        "credentials",
        "accesskey",
        "privatekey",
        "signingkey",
        "subscriptionkey",
        "authkey",
        "encryptionkey",
        "masterkey",
        "session",
        "sessionid",
        "otp",
        "pin",
        "cvv",
        "cvc",
    }
)
_SECRET_PARTS = ("secret", "token", "passw", "apikey", "signature", "credential")
_SEPARATORS = str.maketrans("", "", "-_. ")
_OUR_KEY = re.compile(r"(pe_(?:live|test)_)[A-Za-z0-9_]+")
_UNSTORABLE = re.compile("[\x00\ud800-\udfff]")
_MOST_DECODINGS = 3


@dataclass(slots=True)
class LogRow:
    """One request, with the columns of request_log by their names. Times in microseconds, `cost_micro` in micro-credits.

    `at` is when the exchange ended (aware, UTC), so that rows are stored nearly in its order; the id tells the arrival.
    `path`, `query` and `user_agent` come from `scrub_path`,
    `scrub_query` and `clean_text`.
    """

    id: UUID
    at: datetime
    organization_id: UUID | None
    key_id: UUID | None
    service_id: UUID | None
    operation_id: UUID | None
    method: str
    path: str
    query: str
    status: int
    outcome: str
    refusal: str | None
    limit_name: str | None
    upstream_us: int | None
    total_us: int
    bytes_in: int
    bytes_out: int
    client: str | None
    user_agent: str | None
    cost_micro: int = 0
    trace_id: str | None = None


COLUMNS: tuple[str, ...] = tuple(field.name for field in fields(LogRow))


def scrub_query(query: bytes) -> str:
    """A raw query string (without `?`) for the log; order, spelling and harmless values stay as they were."""
    if not query:
        return ""
    text = _storable(query)
    if ";" in text:
        text = "&".join(";".join(map(_scrub_parameter, part.split(";"))) for part in text.split("&"))
    else:
        text = "&".join(map(_scrub_parameter, text.split("&")))
    return text[:PATH_LENGTH]


def scrub_path(path: bytes) -> str:
    """A raw path for the log: a segment that holds one of our keys in any encoding is masked."""
    text = _storable(path)
    if "%" in text:
        text = "/".join(MASK if _hides_key(segment) else segment for segment in text.split("/"))
    return mask_keys(text)[:PATH_LENGTH]


def scrubbed_path(path: bytes) -> bytes:
    """`scrub_path` for the journal: bytes, at once where nothing can hide."""
    if b"%" not in path and b"pe_" not in path:
        return path[:PATH_LENGTH]
    return scrub_path(path).encode()


def scrubbed_query(query: bytes) -> bytes:
    """`scrub_query` for the journal: bytes, at once where no name and no value asks for a closer look."""
    if b"%" in query or b"pe_" in query or b";" in query:
        return scrub_query(query).encode()
    for parameter in query.split(b"&"):
        if _may_name_secret(parameter.partition(b"=")[0]):
            return scrub_query(query).encode()
    return query[:PATH_LENGTH]


def scrubbed_text(value: bytes) -> bytes:
    """`clean_text` for the journal."""
    if b"pe_" not in value:
        return value[:USER_AGENT_LENGTH]
    return clean_text(value).encode()


def clean_text(value: bytes, length: int = USER_AGENT_LENGTH) -> str:
    """Any other text from outside, for example a user agent."""
    return mask_keys(_storable(value))[:length]


def mask_keys(text: str) -> str:
    """`text` without what looks like one of our keys; its public beginning stays."""
    return _OUR_KEY.sub(rf"\1{MASK}", text) if "pe_" in text else text


def as_record(row: LogRow) -> tuple[Any, ...]:
    """The row as COPY takes it, once more masked, storable and bounded, because one bad value would fail its batch."""
    return (
        row.id,
        row.at,
        row.organization_id,
        row.key_id,
        row.service_id,
        row.operation_id,
        _bounded(row.method, 32),
        _bounded(row.path, PATH_LENGTH),
        _bounded(row.query, PATH_LENGTH),
        row.status,
        row.outcome,
        _optional(row.refusal),
        _optional(row.limit_name),
        row.upstream_us,
        row.total_us,
        row.bytes_in,
        row.bytes_out,
        _address(row.client),
        None if row.user_agent is None else _bounded(row.user_agent, USER_AGENT_LENGTH),
        row.cost_micro,
        _optional(row.trace_id),
    )


def _scrub_parameter(parameter: str) -> str:
    name, equals, value = parameter.partition("=")
    if _hides_key(name):
        return MASK + (f"={MASK}" if equals else "")
    if not value:
        return mask_keys(parameter)
    if _is_secret_name(name) or _hides_key(value):
        return f"{name}={MASK}"
    return mask_keys(parameter)


@lru_cache(maxsize=1_024)
def _is_secret_name(name: str) -> bool:
    plain = unquote_plus(name).lower().removesuffix("[]").translate(_SEPARATORS)
    return plain in _SECRET_NAMES or any(part in plain for part in _SECRET_PARTS)


@lru_cache(maxsize=4_096)
def _may_name_secret(name: bytes) -> bool:
    return _is_secret_name(_storable(name))


def _hides_key(text: str) -> bool:
    """Whether one of our keys shows up once percent-escapes are undone, also when they were made twice."""
    for _ in range(_MOST_DECODINGS):
        if "%" not in text:
            return False
        text = unquote_plus(text)
        if _OUR_KEY.search(text):
            return True
    return False


def _storable(raw: bytes) -> str:
    text = raw.decode("utf-8", "replace")
    return text.replace("\x00", "\ufffd") if "\x00" in text else text


def _bounded(text: str, length: int) -> str:
    if not text.isascii() or "\x00" in text:
        text = _UNSTORABLE.sub("\ufffd", text)
    if "pe_" in text:
        text = mask_keys(text)
    return text if len(text) <= length else text[:length]


def _optional(text: str | None) -> str | None:
    return None if text is None else _bounded(text, _SHORT_LENGTH)


@lru_cache(maxsize=4_096)
def _address(text: str | None) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
    """None for what is no address, such as a Unix socket's peer. A zone (`%eth0`) is dropped: inet knows none."""
    try:
        return ipaddress.ip_address(text.partition("%")[0]) if text else None
    except ValueError:
        return None
