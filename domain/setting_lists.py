"""Settings that are lists: comma-separated texts, networks."""

from ipaddress import ip_network
from typing import Any


def split(value: Any) -> Any:
    """The parts of a comma-separated text; anything else as it is."""
    return tuple(filter(None, (part.strip() for part in value.split(",")))) if isinstance(value, str) else value


def networks(value: tuple[str, ...]) -> tuple[str, ...]:
    """`value`, if each part is a network in CIDR form. Raises ValueError that names the part."""
    for position, text in enumerate(value, 1):
        try:
            ip_network(text, strict=False)
        except ValueError:
            raise ValueError(f"part {position} is no network: write 10.0.0.0/8") from None
    return value
