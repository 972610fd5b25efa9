"""Which network address a request counts as coming from.

The peer's own address, unless the peer is a proxy that the operator trusts by its network; then the rightmost address
of `X-Forwarded-For` that is not itself such a proxy. Loopback is not trusted by itself: a sidecar must be named.
"""

from functools import lru_cache
from ipaddress import IPv4Address, IPv6Address, ip_address, ip_network

from domain.snapshots import Network
from gateway.ends import ClientRequest

Address = IPv4Address | IPv6Address


LONGEST_ADDRESS = 64
"""Characters; no address with brackets and a zone needs more, and callers choose what is remembered."""


def parse_address(text: str) -> Address | None:
    """The address in `text`; a v4 address mapped into v6 is unwrapped; None if it is no address."""
    return _parse(text) if len(text) <= LONGEST_ADDRESS else None


@lru_cache(4096)
def _parse(text: str) -> Address | None:
    try:
        address = ip_address(text.strip().strip("[]"))
    except ValueError:
        return None
    if isinstance(address, IPv6Address) and address.ipv4_mapped is not None:
        return address.ipv4_mapped
    return address


def within(address: Address, networks: tuple[Network, ...]) -> bool:
    """Whether the address lies in one of the networks, compared as numbers, never as text."""
    return any(address.version == network.version and address in network for network in networks)


class AddressReader:
    """Reads client addresses under one list of trusted proxies."""

    def __init__(self, trusted_proxies: tuple[str, ...]) -> None:
        """Raise ValueError for a network that is none."""
        self._trusted: tuple[Network, ...] = tuple(ip_network(text, strict=False) for text in trusted_proxies)

    def trusts(self, request: ClientRequest) -> bool:
        """Whether the forwarding fields of this request may be believed."""
        if not self._trusted:
            return False
        peer = parse_address(request.peer)
        return peer is not None and within(peer, self._trusted)

    def address_of(self, request: ClientRequest) -> str:
        """The client's address as text."""
        if not self.trusts(request):
            return request.peer
        hops: list[str] = []
        for name, value in request.headers:
            if name == b"x-forwarded-for":
                hops += value.decode("latin-1").split(",")
        for hop in reversed(hops):
            address = parse_address(hop)
            if address is None:
                break
            if not within(address, self._trusted):
                return str(address)
        return request.peer
