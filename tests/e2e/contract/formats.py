"""Strings of the formats that no JSON Schema knows, for schemathesis: it loads this module itself."""

from ipaddress import ip_network

import schemathesis
from hypothesis import strategies

_LETTERS = strategies.characters(categories=["L", "N", "P", "S"])
_SMALL, _LARGE = strategies.integers(0, 32), strategies.integers(0, 128)


def _network(address: object) -> strategies.SearchStrategy[str]:
    prefix = _SMALL if getattr(address, "version", 4) == 4 else _LARGE
    return prefix.map(lambda length: str(ip_network(f"{address}/{length}", strict=False)))


schemathesis.openapi.format("label", strategies.text(_LETTERS, min_size=1, max_size=120))
schemathesis.openapi.format("ip-network", strategies.ip_addresses().flatmap(_network))
schemathesis.openapi.format(
    "new-password", strategies.text(_LETTERS, min_size=8, max_size=128).filter(lambda text: len(set(text.lower())) > 3)
)
