"""What holds for every answer that people see, whoever made it: the host is ours, a request id, the headers of case A9."""

from collections.abc import Iterable
from uuid import uuid4

from starlette.responses import PlainTextResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from domain.portal_settings import Face
from portal.web.forgery import origins

CONTENT_SECURITY_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; "
    "form-action 'self'; base-uri 'none'; object-src 'none'; frame-ancestors 'none'"
)
_FIELDS = (
    (b"content-security-policy", CONTENT_SECURITY_POLICY.encode()),
    (b"x-content-type-options", b"nosniff"),
    (b"x-frame-options", b"DENY"),
    (b"referrer-policy", b"same-origin"),
    (b"cross-origin-opener-policy", b"same-origin"),
    (b"cross-origin-resource-policy", b"same-origin"),
    (b"permissions-policy", b"camera=(), geolocation=(), microphone=(), payment=()"),
)
_HSTS = (b"strict-transport-security", b"max-age=31536000; includeSubDomains")
_NO_STORE = (b"cache-control", b"no-store")


class GuardedRequests:
    """Pure ASGI: refuses hosts that are not ours with 421, adds the fields. What an answer sets itself stays."""

    def __init__(self, app: ASGIApp, face: Face) -> None:
        self._app = app
        self._setting = f"{face.model_config['env_prefix']}PUBLIC_URL"
        self._hosts = frozenset(origin.partition("://")[2].encode() for origin in origins(face))
        self._fields = (*_FIELDS, _NO_STORE, *((_HSTS,) if face.secure else ()))

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request, or the lifespan."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        request_id = str(uuid4())
        scope.setdefault("state", {})["request_id"] = request_id
        fields = (*self._fields, (b"x-request-id", request_id.encode()))

        async def guarded(message: Message) -> None:
            if message["type"] == "http.response.start":
                message["headers"] = _completed(list(message.get("headers", ())), fields)
            await send(message)

        if _host_of(scope) in self._hosts or scope["path"] == "/health":
            await self._app(scope, receive, guarded)
        else:
            answer = PlainTextResponse(f"This host is not served here. Set {self._setting} to its address.\n", 421)
            await answer(scope, receive, guarded)


def _host_of(scope: Scope) -> bytes:
    hosts = [value for name, value in scope["headers"] if name == b"host"]
    return hosts[0].lower() if len(hosts) == 1 else b""


def _completed(given: list[tuple[bytes, bytes]], fields: Iterable[tuple[bytes, bytes]]) -> list[tuple[bytes, bytes]]:
    present = {name.lower() for name, _ in given}
    return given + [field for field in fields if field[0] not in present]
