"""Browsers that signed in before: a signed cookie that gives them a counter of wrong passwords of their own (case A6).

The cookie holds the last few users of the browser, newest first, as `user id.nonce.signature` joined by `~`. It opens
nothing: it only says that whoever sends it once knew the password here.
"""

import secrets

from domain.portal_settings import SecretSettings
from domain.sealing import mac, mac_matches

PURPOSE = "device"
MOST_USERS = 5
_LONGEST = 1_000


def device_of(settings: SecretSettings, cookie: str, user_id: int) -> str | None:
    """The nonce under which the user signed in with this browser before; None for any other cookie, forged or empty."""
    for entry in _entries(cookie):
        owner, _, rest = entry.partition(".")
        nonce, _, signature = rest.partition(".")
        if owner == str(user_id) and mac_matches(settings, PURPOSE, f"{owner}.{nonce}", signature):
            return nonce
    return None


def with_device(settings: SecretSettings, cookie: str, user_id: int) -> str:
    """The cookie to set once the user has signed in: with a new nonce, and so with a new counter."""
    signed = f"{user_id}.{secrets.token_urlsafe(12)}"
    others = [entry for entry in _entries(cookie) if not entry.startswith(f"{user_id}.")]
    return "~".join([f"{signed}.{mac(settings, PURPOSE, signed)}", *others[: MOST_USERS - 1]])


def _entries(cookie: str) -> list[str]:
    return cookie.split("~")[:MOST_USERS] if 0 < len(cookie) <= _LONGEST else []
