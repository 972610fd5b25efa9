"""Who calls: one SHA-256 of the presented key finds it in the catalog. Refuses with 400, 401, 429 or 503.

All 401s look alike: missing, malformed, unknown, expired, revoked. On outage: known keys go on, unknown ones are 503.
"""

from collections.abc import Awaitable
from typing import TYPE_CHECKING

from domain.refusals import InvalidKey, TooManyBadKeys
from domain.snapshots import KeySnapshot
from gateway.credentials import presented_key

if TYPE_CHECKING:
    from gateway.exchange import Exchange


def authenticate(exchange: "Exchange") -> Awaitable[None] | None:
    """Set `exchange.key`; awaits only where the key must be read from the database."""
    exchange.address = exchange.services.addresses.address_of(exchange.request)
    try:
        exchange.key_bytes = presented_key(exchange.request)
    except InvalidKey:
        _refuse(exchange)
    found = exchange.services.catalog.find_key(exchange.key_bytes)
    if found is None or isinstance(found, KeySnapshot):
        return _accept(exchange, found)
    return _read(exchange, found)


async def _read(exchange: "Exchange", found: Awaitable[KeySnapshot | None]) -> None:
    _accept(exchange, await found)


def _accept(exchange: "Exchange", key: KeySnapshot | None) -> None:
    if key is None or key.revoked or (key.expires_at is not None and key.expires_at <= exchange.now()):
        _refuse(exchange)
    else:
        exchange.identify(key)


def _refuse(exchange: "Exchange") -> None:
    wait = exchange.services.bad_keys.hit(exchange.address)
    if wait:
        raise TooManyBadKeys(retry_after_seconds=wait)
    raise InvalidKey
