"""PyPI's `httpbin` for gunicorn, with what its last release still expects of Werkzeug 2.

Three things: a function that has become a method, digest challenges, and bodies of type `bytearray`, which Werkzeug
hands on and gunicorn does not take.
"""

import warnings
from collections.abc import Callable, Iterable
from typing import Any

import werkzeug.http
from werkzeug.datastructures import Authorization, WWWAuthenticate
from werkzeug.wsgi import ClosingIterator


def set_digest(
    self: WWWAuthenticate, realm: str, nonce: str, qop: Iterable[str], opaque: str, algorithm: str | None
) -> None:
    """Fill a digest challenge as Werkzeug 2 did."""
    given = {"realm": realm, "nonce": nonce, "qop": ", ".join(qop), "opaque": opaque, "algorithm": algorithm}
    self.parameters.update({name: value for name, value in given.items() if value is not None})


werkzeug.http.parse_authorization_header = Authorization.from_header  # type: ignore[attr-defined]
WWWAuthenticate.set_digest = set_digest  # type: ignore[attr-defined]
with warnings.catch_warnings():
    warnings.simplefilter("ignore")
    from httpbin import app as httpbin


def app(environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
    """httpbin, with bodies of bytes."""
    parts = httpbin(environ, start_response)
    return ClosingIterator(map(bytes, parts), getattr(parts, "close", None))
