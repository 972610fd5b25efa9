"""Where the log store is: `clickhouse://user:password@host:port/database`, or `clickhouses://` for HTTPS."""

import re
from dataclasses import dataclass
from urllib.parse import unquote, urlsplit

SCHEMES = ("clickhouse", "clickhouses")
_PORTS = {"clickhouse": 8123, "clickhouses": 8443}
_DATABASE = re.compile(r"[A-Za-z_][A-Za-z0-9_]{0,63}")


@dataclass(frozen=True, slots=True)
class Address:
    """ClickHouse's HTTP interface. `password` is a secret: print `shown`."""

    base: str
    user: str
    password: str
    database: str

    def __repr__(self) -> str:
        return f"Address({self.shown!r})"

    @property
    def shown(self) -> str:
        """The address without its password."""
        return f"{self.base}/{self.database}"


def parse_address(url: str) -> Address:
    """The address that a URL names. Raises ValueError, which never quotes the URL."""
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError:
        raise ValueError("is no URL of the form clickhouse://user:password@host:port/database") from None
    if parts.scheme not in SCHEMES or not parts.hostname or parts.query or parts.fragment:
        raise ValueError(
            "must be of the form clickhouse://user:password@host:port/database, or begin with clickhouses://"
        )
    database = parts.path.strip("/") or "default"
    if not _DATABASE.fullmatch(database):
        raise ValueError("names a database whose name is not letters, digits and underscores")
    host = f"[{parts.hostname}]" if ":" in parts.hostname else parts.hostname
    base = f"{'https' if parts.scheme == 'clickhouses' else 'http'}://{host}:{port or _PORTS[parts.scheme]}"
    return Address(base, unquote(parts.username or "default"), unquote(parts.password or ""), database)
