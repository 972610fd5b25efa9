"""Cookies: the session, and what ties a form to a browser that is not signed in (case A3)."""

from starlette.requests import Request
from starlette.responses import Response

from domain.portal_settings import Face

SESSION, VISITOR, DEVICE, FLOW = "pe_session", "pe_visitor", "pe_device", "pe_flow"
"""Who is signed in; whose form it is; a browser that signed in before; a sign-in elsewhere that is under way."""
_YEAR = 365 * 86_400


def cookie_name(face: Face, name: str) -> str:
    """The name that browsers get: with https one that no other host and no plain connection can set."""
    return f"__Host-{name}" if face.secure else name


def read_cookie(request: Request, face: Face, name: str) -> str:
    """The cookie's text; empty if there is none."""
    return request.cookies.get(cookie_name(face, name), "")


def set_cookie(response: Response, face: Face, name: str, value: str, *, seconds: int | None = _YEAR) -> None:
    """Set a cookie that scripts cannot read; `seconds` None: until the browser closes."""
    response.set_cookie(
        cookie_name(face, name),
        value,
        max_age=seconds,
        path="/",
        secure=face.secure,
        httponly=True,
        samesite="lax",
    )


def clear_cookie(response: Response, face: Face, name: str) -> None:
    """Make the browser forget it."""
    response.delete_cookie(cookie_name(face, name), path="/", secure=face.secure, httponly=True, samesite="lax")
