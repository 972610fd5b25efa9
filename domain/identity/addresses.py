"""E-mail addresses and network addresses of people: what is one, and which are the same person's."""

import ipaddress
import re

from domain.faults import InvalidValue

LONGEST_EMAIL = 254
EMAIL_PATTERN = r"^[A-Za-z0-9.!#$%&'*+/=?^_`{|}~-]{1,64}@[A-Za-z0-9-]{1,63}(\.[A-Za-z0-9-]{1,63})*$"
_EMAIL = re.compile(EMAIL_PATTERN)
_DOTLESS = frozenset({"gmail.com", "googlemail.com"})
_PREFIX = 64
"""Of IPv6: one customer of a provider has at least this network to choose addresses from."""


def valid_email(text: str) -> str:
    """`text` in lower case without surrounding space, if it looks like an address. Raises InvalidValue."""
    email = text.strip().lower()
    # Asked of the text itself: the Kelvin sign is a k in lower case, and so somebody else's address.
    if not text.isascii() or len(email) > LONGEST_EMAIL or not _EMAIL.fullmatch(email):
        raise InvalidValue("That does not look like an e-mail address.")
    return email


def mailbox_of(email: str) -> str:
    """The address without what only makes aliases of one mailbox: what stands behind a plus, dots where they don't count."""
    local, _, host = email.lower().rpartition("@")
    local = local.partition("+")[0] or local
    if host in _DOTLESS:
        local, host = local.replace(".", ""), "gmail.com"
    return f"{local}@{host}"


def network_of(address: str) -> str:
    """Whom an address stands for when tries are counted: IPv4 as it is, of IPv6 the /64; `unknown` for anything else."""
    try:
        parsed = ipaddress.ip_address(address.partition("%")[0])
    except ValueError:
        return "unknown"
    if isinstance(parsed, ipaddress.IPv6Address):
        if parsed.ipv4_mapped is not None:
            return str(parsed.ipv4_mapped)
        return str(ipaddress.ip_network((parsed, _PREFIX), strict=False))
    return str(parsed)
