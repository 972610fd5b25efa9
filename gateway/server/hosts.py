"""Which Host values are served."""

import ipaddress
import re

from domain.refusals import MalformedRequest, MisdirectedRequest

_HOST = re.compile(rb"(?:\[([0-9A-Fa-f:.]{2,45})\]|([A-Za-z0-9._-]{1,255}))(?::([0-9]{1,5}))?\Z")
_REMEMBERED = 1_024


class HostRule:
    """Grammar and allow-list of Host. What passed once is remembered, so a warm request costs one look-up."""

    def __init__(self, allowed: tuple[str, ...]) -> None:
        """`allowed` are host names, with a port if only that port is meant; `*` allows any."""
        self._allowed = frozenset(name.lower().encode("idna" if not name.isascii() else "ascii") for name in allowed)
        self._passed: set[bytes] = set()

    def check(self, value: bytes) -> None:
        """Return if the value is served. Raises MalformedRequest or MisdirectedRequest."""
        if value in self._passed:
            return
        found = _HOST.match(value)
        if not found or (found[1] and not _is_ipv6(found[1])) or (found[3] and not 0 < int(found[3]) < 65_536):
            raise MalformedRequest("Host is not a host name with an optional port.")
        host = value.lower()
        bare = host[: -len(found[3]) - 1] if found[3] else host
        if b"*" not in self._allowed and host not in self._allowed and bare not in self._allowed:
            raise MisdirectedRequest
        if len(self._passed) >= _REMEMBERED:
            self._passed.clear()
        self._passed.add(value)


def _is_ipv6(text: bytes) -> bool:
    try:
        ipaddress.IPv6Address(text.decode("ascii"))
    except ValueError:
        return False
    return True
