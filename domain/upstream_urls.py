"""Where a service's requests go: upstream URLs, brought to one form."""

import re
from collections.abc import Iterable
from ipaddress import ip_address
from typing import Any
from urllib.parse import urlsplit

from domain.faults import InvalidValue

HOST_PATTERN = re.compile(
    r"(?=.{1,253}$)[a-z0-9_]([a-z0-9_-]{0,61}[a-z0-9])?(\.[a-z0-9_]([a-z0-9_-]{0,61}[a-z0-9])?)*\.?"
)
PATH_PATTERN = re.compile(r"(/([A-Za-z0-9._~!$&'()*+,;=:@-]|%[0-9A-Fa-f]{2})+)*/?")
ENCODED_TRICKS = re.compile(r"%(2[fFeE]|5[cC]|00)")
MOST_UPSTREAMS = 64
WEIGHTED = re.compile(r"(\S+) weight=([0-9]{1,4})")


def valid_upstreams(urls: Iterable[str]) -> list[dict[str, Any]]:
    """The upstreams of a service as they are stored: `{"url", "weight"}` each. Raises InvalidValue.

    `URL weight=3` is one that gets three times as much as others; without it the weight is 1.
    """
    found = [_weighted(url) for url in urls]
    if not 1 <= len(found) <= MOST_UPSTREAMS:
        raise InvalidValue(f"A service has 1 to {MOST_UPSTREAMS} upstreams.")
    if len({url for url, _ in found}) < len(found):
        raise InvalidValue("An upstream is given twice.")
    return [{"url": url, "weight": weight} for url, weight in found]


def valid_weighted_upstream(text: str) -> str:
    """`URL` or `URL weight=3` in one form. Raises InvalidValue."""
    return weighted_text(*_weighted(text))


def weighted_text(url: str, weight: int) -> str:
    """As people write it: a weight of 1 is not said."""
    return url if weight == 1 else f"{url} weight={weight}"


def _weighted(text: str) -> tuple[str, int]:
    found = WEIGHTED.fullmatch(text)
    if found is None:
        return valid_upstream_url(text), 1
    return valid_upstream_url(found[1]), int(found[2])


def valid_upstream_url(text: str) -> str:
    """`scheme://host[:port][/path]`, lower-case scheme and host, no slash at the end. Raises InvalidValue."""
    shown = f"'{text[:120]}'"
    if not text.isascii() or not text.isprintable() or any(sign in text for sign in ' \\"<>^`{|}'):
        raise InvalidValue(f"{shown} contains characters that a URL must encode (a host in punycode, a path in %XX).")
    try:
        parts = urlsplit(text)
        host, port = parts.hostname, parts.port
    except ValueError:
        raise InvalidValue(f"{shown} is no URL; the port lies between 1 and 65535.") from None
    if parts.scheme not in ("http", "https"):
        raise InvalidValue(f"{shown} must begin with http:// or https://.")
    if "@" in parts.netloc:
        # Not repeated in the sentence: it holds a password.
        raise InvalidValue("The upstream URL holds a user name or password; a service has no credentials there.")
    if "?" in text or "#" in text:
        raise InvalidValue(f"{shown} has a query or fragment; only a base path is put before the request's path.")
    if not host or not _valid_host(host, bracketed="[" in parts.netloc):
        raise InvalidValue(f"{shown} has no valid host.")
    if port == 0 or parts.netloc.endswith(":"):
        raise InvalidValue(f"{shown}: the port lies between 1 and 65535.")
    location = f"[{host}]" if ":" in host else host
    return f"{parts.scheme}://{location}{'' if port is None else f':{port}'}{_valid_path(parts.path, shown)}"


def _valid_path(path: str, shown: str) -> str:
    if not PATH_PATTERN.fullmatch(path) or ENCODED_TRICKS.search(path):
        raise InvalidValue(f"{shown}: the base path holds `//`, an encoded slash or dot, or a bad escape.")
    if any(segment.split(";")[0] in (".", "..") for segment in path.split("/")):
        raise InvalidValue(f"{shown}: the base path holds a dot segment.")
    return path.rstrip("/")


def _valid_host(host: str, *, bracketed: bool) -> bool:
    if bracketed or re.fullmatch(r"[0-9.]+", host):
        try:
            return ip_address(host).version == (6 if bracketed else 4)
        except ValueError:
            return False
    return HOST_PATTERN.fullmatch(host) is not None
