"""CORS by service policy: `cors_origins` empty leaves it to the upstream, else the gateway answers for it.

Credentials are never allowed: a key is not a cookie. An origin is compared exactly; `*` in the policy allows any.
"""

from domain.snapshots import ServiceSnapshot
from gateway.ends import ClientRequest, Headers

_EXPOSED = (
    b"RateLimit, RateLimit-Policy, Retry-After, X-Request-Id, X-Credits-Charged, X-Credits-At-Most, X-Credits-Remaining,"
    b" X-RateLimit-Limit, X-RateLimit-Remaining, X-RateLimit-Reset"
)
_METHODS = b"GET, HEAD, POST, PUT, PATCH, DELETE, OPTIONS"


def _origin(request: ClientRequest, service: ServiceSnapshot) -> bytes | None:
    origin = next((value for name, value in request.headers if name == b"origin"), None)
    if origin is None:
        return None
    if "*" in service.cors_origins:
        return b"*"
    return origin if origin.decode("latin-1") in service.cors_origins else None


def preflight(request: ClientRequest, service: ServiceSnapshot) -> Headers | None:
    """The fields of the answer (204) to a preflight that the service's policy covers; None if it is none."""
    if request.method != b"OPTIONS" or not service.cors_origins:
        return None
    asked = {name: value for name, value in request.headers if name.startswith(b"access-control-request-")}
    if b"access-control-request-method" not in asked:
        return None
    origin = _origin(request, service)
    fields: Headers = [(b"vary", b"Origin, Access-Control-Request-Headers")]
    if origin is not None:
        fields += [
            (b"access-control-allow-origin", origin),
            (b"access-control-allow-methods", _METHODS),
            (b"access-control-allow-headers", asked.get(b"access-control-request-headers", b"x-api-key")),
            (b"access-control-max-age", b"600"),
        ]
    return fields


def answer_fields(request: ClientRequest, service: ServiceSnapshot) -> Headers:
    """What an ordinary answer gets under the service's policy."""
    if not service.cors_origins:
        return []
    fields: Headers = [(b"vary", b"Origin")]
    origin = _origin(request, service)
    if origin is not None:
        fields += [(b"access-control-allow-origin", origin), (b"access-control-expose-headers", _EXPOSED)]
    return fields
