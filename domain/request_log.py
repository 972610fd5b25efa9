"""What must never get into the request log.

No secret in a row (G7): the values of parameters that look secret and anything that looks like one of our keys are
replaced by `***`. Text is always storable: valid UTF-8, no NUL, bounded in length.
"""

import re
from functools import lru_cache
from urllib.parse import unquote_plus

MASK = "***"
PATH_LENGTH = 2_048
USER_AGENT_LENGTH = 512

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
_MOST_DECODINGS = 3
_LOOKED_AT = 2 * PATH_LENGTH
"""Bytes of a text that are read at all. Each parameter costs microseconds, and strangers decide how many there are."""
_LONGEST_KNOWN_NAME = 64
"""Names are chosen by strangers too: what is remembered of them stays small."""


def scrub_query(query: bytes) -> str:
    """A raw query string (without `?`) for the log; order, spelling and harmless values stay as they were."""
    if not query:
        return ""
    text = _storable(query[:_LOOKED_AT])
    if ";" in text:
        text = "&".join(";".join(map(_scrub_parameter, part.split(";"))) for part in text.split("&"))
    else:
        text = "&".join(map(_scrub_parameter, text.split("&")))
    return text[:PATH_LENGTH]


def scrub_path(path: bytes) -> str:
    """A raw path for the log: a segment that holds one of our keys in any encoding is masked."""
    text = _storable(path[:_LOOKED_AT])
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
    query = query[:_LOOKED_AT]
    if b"%" in query or b"pe_" in query or b";" in query:
        return scrub_query(query).encode()
    for parameter in query.split(b"&"):
        name = parameter.partition(b"=")[0]
        if _may_name_secret(name) if len(name) <= _LONGEST_KNOWN_NAME else _is_secret_name(_storable(name)):
            return scrub_query(query).encode()
    return query[:PATH_LENGTH]


def scrubbed_text(value: bytes) -> bytes:
    """`clean_text` for the journal."""
    if b"%" not in value and b"pe_" not in value:
        return value[:USER_AGENT_LENGTH]
    return clean_text(value).encode()


def clean_text(value: bytes, length: int = USER_AGENT_LENGTH) -> str:
    """Any other text from outside, for example a user agent."""
    text = _storable(value[:_LOOKED_AT])
    return MASK if _hides_key(text) else mask_keys(text)[:length]


def mask_keys(text: str) -> str:
    """`text` without what looks like one of our keys; its public beginning stays."""
    return _OUR_KEY.sub(rf"\1{MASK}", text) if "pe_" in text else text


def _scrub_parameter(parameter: str) -> str:
    name, equals, value = parameter.partition("=")
    if _hides_key(name):
        return MASK + (f"={MASK}" if equals else "")
    if not value:
        return mask_keys(parameter)
    if _is_secret_name(name) or _hides_key(value):
        return f"{name}={MASK}"
    return mask_keys(parameter)


def _is_secret_name(name: str) -> bool:
    return _known_name(name) if len(name) <= _LONGEST_KNOWN_NAME else _known_name.__wrapped__(name)


@lru_cache(maxsize=1_024)
def _known_name(name: str) -> bool:
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
