"""Requests that another site made a browser send (case A4): who sent it by the browser's own word, then the form's token.

A program that shows an access token has no cookie that could be abused and is not asked.
"""

import secrets

from starlette.requests import Request

from domain.faults import Forbidden
from domain.portal_settings import Face, SecretSettings
from domain.sealing import mac, mac_matches

PURPOSE = "csrf"
FIELD, HEADER = "csrf", "x-csrf-token"
SAFE_METHODS = frozenset({"GET", "HEAD", "OPTIONS"})
_FOREIGN = "This request came from another site, so nothing was done. Open the page here and try again."
_STALE = "This form is too old or belongs to another sign-in. Nothing was done. Reload the page and try again."


def origins(face: Face) -> frozenset[str]:
    """The origins whose pages may send us forms."""
    if face.public_url:
        scheme, _, rest = face.base_url.partition("://")
        return frozenset({f"{scheme}://{rest.partition('/')[0]}"})
    return frozenset(f"http://{host}:{face.port}" for host in ("localhost", "127.0.0.1"))


def require_same_site(request: Request, face: Face) -> None:
    """Raise Forbidden if the browser says that another site made it send this. Browsers that say nothing pass."""
    if request.headers.get("sec-fetch-site", "same-origin") != "same-origin":
        raise Forbidden(_FOREIGN)
    origin = request.headers.get("origin")
    if origin is not None and origin not in origins(face):
        raise Forbidden(_FOREIGN)


def new_visitor() -> str:
    """What ties forms to a browser that is not signed in."""
    return secrets.token_urlsafe(24)


def form_token(secrets_: SecretSettings, tied_to: str) -> str:
    """The token for forms of this session or visitor."""
    return mac(secrets_, PURPOSE, tied_to)


def require_form_token(secrets_: SecretSettings, tied_to: str, given: str) -> None:
    """Raise Forbidden unless `given` is the token of this session or visitor."""
    if not tied_to or not mac_matches(secrets_, PURPOSE, tied_to, given):
        raise Forbidden(_STALE)
