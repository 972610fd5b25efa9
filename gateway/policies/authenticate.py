"""Who calls: one SHA-256 of the presented key finds it in the catalog. Refuses with 400, 401, 429 or 503.

All 401s look alike: missing, malformed, unknown, expired, revoked. On outage: known keys go on, unknown ones are 503.
"""

import time
from collections.abc import Awaitable
from typing import TYPE_CHECKING, NoReturn

from domain.journal.decision import Flag
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
    try:
        exchange.key_bytes = presented_key(exchange.request)
    except InvalidKey:
        _refuse(services, exchange.address, "missing")
    found = services.catalog.find_key(exchange.key_bytes)
    if found is None or isinstance(found, KeySnapshot):
        _take(exchange, found)
        return None
    return _read(exchange, found)


async def _read(exchange: "Exchange", found: Awaitable[KeySnapshot | None]) -> None:
    exchange.decided |= Flag.COLD_KEY
    _take(exchange, await found)


def _take(exchange: "Exchange", key: KeySnapshot | None) -> None:
    """The record of a key that is known but not accepted names it; its caller is not told."""
    if key is not None:
        exchange.key = key
    fault = key_fault(key)
    if fault:
        _refuse(exchange.services, exchange.address, fault)


async def key_of(services: "Services", request: "ClientRequest") -> KeySnapshot:
    """The same rule for the gateway's own routes that want a key."""
    address = services.addresses.address_of(request)
    try:
        presented = presented_key(request)
    except InvalidKey:
        _refuse(services, address, "missing")
    found = services.catalog.find_key(presented)
    if found is None or isinstance(found, KeySnapshot):
        return accepted(services, address, found)
    return accepted(services, address, await found)


def accepted(services: "Services", address: str, key: KeySnapshot | None) -> KeySnapshot:
    """The key, if it may be used at this moment."""
    fault = key_fault(key)
    if key is None or fault:
        _refuse(services, address, fault)
    return key


def key_fault(key: KeySnapshot | None) -> str:
    """Why this key may not be used at this moment: unknown, revoked, expired, or '' if it may."""
    if key is None:
        return "unknown"
    if key.revoked:
        return "revoked"
    if key.expires_at is not None and key.expires_at <= time.time():
        return "expired"
    return ""


def _refuse(services: "Services", address: str, fault: str) -> NoReturn:
    """`fault` is for the operator; callers see one kind of 401."""
    wait = services.bad_keys.hit(address)
    if wait:
        raise TooManyBadKeys(internal=fault, retry_after_seconds=wait)
    raise InvalidKey(internal=fault)
