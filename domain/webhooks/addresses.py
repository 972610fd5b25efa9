"""Which URLs and which addresses a customer's webhook may have: the public internet over https, nothing of ours.

Checked when an endpoint is saved and again at each connection, on the address that is then connected to.
"""

import asyncio
import re
import socket
from collections.abc import Awaitable, Callable
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address
from typing import Any
from urllib.parse import SplitResult, urlsplit

from domain.faults import Fault, InvalidValue
from domain.portal_settings import WebhookSettings

Address = IPv4Address | IPv6Address
Resolve = Callable[[str, int], Awaitable[list[str]]]
LONGEST_URL = 2_000
RESOLVE_SECONDS = 3.0
_resolvers = ThreadPoolExecutor(32, "webhook names")
_asked: dict[tuple[str, int], "Future[list[Any]]"] = {}
"""Look-ups under way: a name is asked for once at a time, so that one that never answers takes one thread and not all."""

_PRINTABLE = re.compile(r"[!-~]+")
_LABEL = re.compile(r"(?!-)[a-z0-9_-]{1,63}(?<!-)")
_NUMBER = re.compile(r"0x[0-9a-f]*|[0-9]+")
_OWN_NAMES = ("localhost", "local", "internal", "lan", "home", "corp", "intranet", "arpa", "onion", "invalid")
_NAT64 = (IPv6Network("64:ff9b::/96"), IPv6Network("64:ff9b:1::/48"))
_TRANSLATED = IPv6Network("::ffff:0:0:0/96")
"""IPv4 addresses as a translator of a host writes them (RFC 7915)."""
_NOT_PUBLIC = (IPv4Network("192.88.99.0/24"), IPv4Network("168.63.129.16/32"), IPv4Network("192.0.0.0/24"))
"""6to4 relays, the address that is a cloud's own on every machine of it, and those of protocols, of which another cloud
serves its metadata on one (192.0.0.192); `ipaddress` calls all of them global, or does in some versions."""
_NOT_PUBLIC_6 = (IPv6Network("3fff::/20"), IPv6Network("5f00::/16"))
"""For documentation, and of segment routing within one network: newer than what `ipaddress` knows."""


class Blocked(Fault):
    """The address is not one that webhooks may go to; nothing was sent."""

    code = "blocked"


def is_public(address: Address) -> bool:
    """Whether an address is one of the public internet. IPv4 within IPv6 counts as what is within."""
    if isinstance(address, IPv6Address):
        within = _within(address)
        if within is not None:
            return is_public(within)
        known = address.is_global and not (address.is_multicast or address.is_site_local) and address.scope_id is None
        return known and not any(address in net for net in _NOT_PUBLIC_6)
    return address.is_global and not address.is_multicast and not any(address in net for net in _NOT_PUBLIC)


def _within(address: IPv6Address) -> IPv4Address | None:
    """The IPv4 address that a translator would send to: mapped, translated, 6to4, Teredo, NAT64, compatible."""
    if address.ipv4_mapped is not None:
        return address.ipv4_mapped
    if address.sixtofour is not None:
        return address.sixtofour
    if address.teredo is not None:
        return address.teredo[1]
    if any(address in net for net in (*_NAT64, _TRANSLATED)) or int(address) >> 32 == 0:
        return IPv4Address(int(address) & 0xFFFFFFFF)
    return None


async def system_resolver(host: str, port: int) -> list[str]:
    """All addresses of a name, as the system knows them. Raises OSError, TimeoutError.

    In threads of its own: a customer's name server may be as slow as it likes, and what is given up goes on in its
    thread. In the loop's threads it would keep everybody from connecting to anything.
    """
    asking = _asked.get((host, port))
    if asking is None:
        asking = _resolvers.submit(partial(socket.getaddrinfo, host, port, type=socket.SOCK_STREAM))
        _asked[host, port] = asking
        asking.add_done_callback(lambda _: _asked.pop((host, port), None))
    async with asyncio.timeout(RESOLVE_SECONDS):
        # Who gives up does not take it from the others who wait.
        found = await asyncio.shield(asyncio.wrap_future(asking))
    return list(dict.fromkeys(str(entry[4][0]) for entry in found))


@dataclass(frozen=True, slots=True)
class Guard:
    """Checks URLs and addresses by the settings. `resolve` gives the addresses of a name."""

    settings: WebhookSettings
    resolve: Resolve = system_resolver

    async def check_url(self, url: str) -> str:
        """The URL as it is stored, if webhooks may go there now. Raises InvalidValue with what to write instead."""
        parts = self._parts(url)
        if not self.settings.allow_private:
            try:
                await self.addresses(_host_of(parts), parts.port or 443)
            except Blocked as fault:
                raise InvalidValue(str(fault)) from None
            except (OSError, TimeoutError, UnicodeError):
                raise InvalidValue("The host of this URL has no address. Check how it is written.") from None
        return url

    async def addresses(self, host: str, port: int) -> list[str]:
        """The addresses to connect to, each of which may be. Raises Blocked if one may not; OSError, TimeoutError."""
        try:
            literal = ip_address(host.strip("[]"))
        except ValueError:
            found = await self.resolve(host, port)
        else:
            found = [str(literal)]
        if not found:
            raise OSError("no address")
        if not self.settings.allow_private and not all(is_public(ip_address(text)) for text in found):
            raise Blocked("This URL leads to an address that is not of the public internet. Nothing is sent there.")
        return found

    def _parts(self, url: str) -> SplitResult:
        if not 8 <= len(url) <= LONGEST_URL or not _PRINTABLE.fullmatch(url) or "\\" in url:
            raise InvalidValue(f"Write the URL with 8 to {LONGEST_URL} ASCII characters without spaces.")
        try:
            parts = urlsplit(url)
            port, host = parts.port, _host_of(parts)
        except ValueError:
            raise InvalidValue("This is no URL. Write one like https://example.com/webhooks.") from None
        self._check_scheme(parts, url, port)
        _check_host(host, development=self.settings.allow_private)
        return parts

    def _check_scheme(self, parts: SplitResult, url: str, port: int | None) -> None:
        development = self.settings.allow_private
        if parts.scheme != "https" and not (development and parts.scheme == "http"):
            raise InvalidValue("The URL must begin with https://.")
        if "[" in parts.netloc and ":" not in _host_of(parts):
            raise InvalidValue("Only an IPv6 address stands in brackets.")
        if "@" in parts.netloc:
            raise InvalidValue("The URL must not hold a user name or password.")
        if "#" in url:
            raise InvalidValue("The URL must not have a part behind #.")
        if port == 0 or (not development and (443 if port is None else port) not in self.settings.ports):
            ports = ", ".join(map(str, self.settings.ports))
            raise InvalidValue(f"The URL may have no other port than {ports}.")


def _host_of(parts: SplitResult) -> str:
    return (parts.hostname or "").lower()


def _check_host(host: str, *, development: bool) -> None:
    """Raise InvalidValue unless it is a name with a dot or an address in its usual form."""
    try:
        ip_address(host)
    except ValueError:
        labels = host.split(".")
        # Hosts that end in a number are addresses in forms that each program reads differently.
        if len(host) > 253 or not all(map(_LABEL.fullmatch, labels)) or _NUMBER.fullmatch(labels[-1]):
            raise InvalidValue("The host of this URL is no name like hooks.example.com.") from None
        if not development and (len(labels) < 2 or labels[-1] in _OWN_NAMES):
            raise InvalidValue("The host of this URL is not one of the public internet.") from None
