"""Style sheets, scripts and icons: hand-written files, served under a name that changes with them, kept for a year."""

import hashlib
from pathlib import Path

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from domain.faults import NotFound

FOLDER = Path(__file__).resolve().parent.parent / "static"
_TYPES = {".css": "text/css; charset=utf-8", ".js": "text/javascript; charset=utf-8", ".svg": "image/svg+xml"}


class Assets:
    """The files of these folders; where a name stands in several, the first has it."""

    def __init__(self, *folders: Path) -> None:
        self._folders = folders
        self._read: dict[str, tuple[bytes, str]] = {}

    def url(self, name: str) -> str:
        """The path under which this version of the file is served. Raises NotFound."""
        return f"/static/{self._asset(name)[1]}/{name}"

    def route(self) -> Route:
        """Where all of them are."""
        return Route("/static/{version}/{name}", self._serve)

    async def _serve(self, request: Request) -> Response:
        """One file. An older page's version gets the present file, without being kept."""
        name = request.path_params["name"]
        content, version = self._asset(name)
        current = request.path_params["version"] == version
        return Response(
            content,
            media_type=_TYPES[Path(name).suffix],
            headers={"cache-control": "public, max-age=31536000, immutable" if current else "no-store"},
        )

    def _asset(self, name: str) -> tuple[bytes, str]:
        known = self._read.get(name)
        if known is None:
            content = self._file(name).read_bytes()
            known = self._read[name] = content, hashlib.sha256(content).hexdigest()[:16]
        return known

    def _file(self, name: str) -> Path:
        if "/" not in name and not name.startswith(".") and Path(name).suffix in _TYPES:
            for folder in self._folders:
                if (folder / name).is_file():
                    return folder / name
        raise NotFound("There is no such file.")


ASSETS = Assets(FOLDER)
"""The portal's."""
