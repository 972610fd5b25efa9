"""What narrows a key: scopes, client networks, expiry. Each is checked and brought to one form before it is stored."""

import re
from collections.abc import Iterable
from datetime import UTC, datetime
from ipaddress import ip_network
from typing import Any

from domain.faults import InvalidValue

SCOPE_PATTERN = re.compile(r"[a-z0-9][a-z0-9-]{0,62}(:\S[^\x00-\x1f\x7f]{0,119})?")
MOST_SCOPES = 100
MOST_NETWORKS = 100


def valid_scopes(texts: Iterable[str]) -> list[str]:
    """Scopes, sorted, without repetitions: each `service` or `service:operation`. Raises InvalidValue."""
    scopes = sorted(set(texts))
    for scope in scopes:
        if not SCOPE_PATTERN.fullmatch(scope):
            raise InvalidValue(f"'{scope[:80]}' is no scope: write SERVICE or SERVICE:OPERATION.")
    if len(scopes) > MOST_SCOPES:
        raise InvalidValue(f"A key has at most {MOST_SCOPES} scopes.")
    return scopes


def valid_networks(texts: Iterable[str]) -> list[str]:
    """Networks in CIDR form, sorted, without repetitions; a lone address is a network of one. Raises InvalidValue."""
    networks = sorted({_network(text.strip()) for text in texts})
    if len(networks) > MOST_NETWORKS:
        raise InvalidValue(f"A key has at most {MOST_NETWORKS} networks.")
    return networks


def valid_expiry(moment: datetime | None) -> datetime | None:
    """`moment` if it lies ahead; None is never. Raises InvalidValue."""
    if moment is None:
        return None
    if moment.tzinfo is None:
        raise InvalidValue("The expiry needs a time zone.")
    if moment <= datetime.now(UTC):
        raise InvalidValue("The expiry must lie in the future; to stop a key now, revoke it.")
    return moment


async def unknown_scopes(connection: Any, scopes: Iterable[str]) -> list[str]:
    """Those scopes that name no present service or operation. They grant nothing until there is one."""
    rows = await connection.fetch(
        "select scope from unnest($1::text[]) as scope where not exists ("
        " select from service s left join operation o on o.service_id = s.id"
        " where scope = s.slug or scope = s.slug || ':' || o.name)",
        list(scopes),
    )
    return [row["scope"] for row in rows]


def _network(text: str) -> str:
    if "%" in text:
        raise InvalidValue(f"'{text[:80]}' names an interface; write the network alone.")
    try:
        return str(ip_network(text))
    except ValueError:
        pass
    try:
        wider = ip_network(text, strict=False)
    except ValueError:
        raise InvalidValue(f"'{text[:80]}' is no network: write 203.0.113.0/24 or 2001:db8::/32.") from None
    raise InvalidValue(f"'{text[:80]}' has bits behind its prefix; did you mean {wider}?")
