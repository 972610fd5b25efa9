"""Style sheet, script and icon: hand-written files, served under a name that changes with them, kept for a year."""

import hashlib
from functools import cache
from pathlib import Path

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from domain.faults import NotFound

FOLDER = Path(__file__).resolve().parent.parent / "static"
_TYPES = {".css": "text/css; charset=utf-8", ".js": "text/javascript; charset=utf-8", ".svg": "image/svg+xml"}


@cache
def _asset(name: str) -> tuple[bytes, str]:
    file = FOLDER / name
    if "/" in name or name.startswith(".") or file.suffix not in _TYPES or not file.is_file():
        raise NotFound("There is no such file.")
    content = file.read_bytes()
    return content, hashlib.sha256(content).hexdigest()[:16]


def asset_url(name: str) -> str:
    """The path under which this version of the file is served."""
    return f"/static/{_asset(name)[1]}/{name}"


async def serve_asset(request: Request) -> Response:
    """One file. An older page's version gets the present file, without being kept."""
    content, version = _asset(request.path_params["name"])
    current = request.path_params["version"] == version
    return Response(
        content,
        media_type=_TYPES[Path(request.path_params["name"]).suffix],
        headers={"cache-control": "public, max-age=31536000, immutable" if current else "no-store"},
    )


def asset_route() -> Route:
    """Where all of them are."""
    return Route("/static/{version}/{name}", serve_asset)
