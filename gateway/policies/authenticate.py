"""Who calls: one SHA-256 of the presented key finds it in the catalog. Refuses with 400, 401, 429 or 503.

All 401s look alike: missing, malformed, unknown, expired, revoked. On outage: known keys go on, unknown ones are 503.
"""

import time
from collections.abc import Awaitable
from typing import TYPE_CHECKING, NoReturn

from domain.refusals import InvalidKey, TooManyBadKeys
from domain.snapshots import KeySnapshot
from gateway.credentials import presented_key

if TYPE_CHECKING:
    from gateway.ends import ClientRequest
    from gateway.exchange import Exchange
    from gateway.services import Services


def authenticate(exchange: "Exchange") -> Awaitable[None] | None:
    """Set `exchange.key`; awaits only where the key must be read from the database."""
    services = exchange.services
    exchange.address = services.addresses.address_of(exchange.request)
    exchange.key_bytes = _presented(services, exchange.request, exchange.address)
    found = services.catalog.find_key(exchange.key_bytes)
    if found is None or isinstance(found, KeySnapshot):
        exchange.key = accepted(services, exchange.address, found)
        return None
    return _read(exchange, found)


async def _read(exchange: "Exchange", found: Awaitable[KeySnapshot | None]) -> None:
    exchange.key = accepted(exchange.services, exchange.address, await found)


async def key_of(services: "Services", request: "ClientRequest") -> KeySnapshot:
    """The same rule for the gateway's own routes that want a key."""
    address = services.addresses.address_of(request)
    found = services.catalog.find_key(_presented(services, request, address))
    if found is None or isinstance(found, KeySnapshot):
        return accepted(services, address, found)
    return accepted(services, address, await found)


def accepted(services: "Services", address: str, key: KeySnapshot | None) -> KeySnapshot:
    """The key, if it may be used at this moment."""
    if key is None or key.revoked or (key.expires_at is not None and key.expires_at <= time.time()):
        _refuse(services, address)
    return key


def _presented(services: "Services", request: "ClientRequest", address: str) -> bytes:
    try:
        return presented_key(request)
    except InvalidKey:
        _refuse(services, address)


def _refuse(services: "Services", address: str) -> NoReturn:
    wait = services.bad_keys.hit(address)
    if wait:
        raise TooManyBadKeys(retry_after_seconds=wait)
    raise InvalidKey
