"""From a literal table of pages or endpoints to Starlette's routes."""

from collections.abc import Awaitable, Callable, Iterable
from typing import Protocol

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route


class Served(Protocol):
    """A page or an endpoint: one method of one path."""

    @property
    def method(self) -> str:
        """GET, POST, ..."""

    @property
    def url_path(self) -> str:
        """The path as Starlette knows it."""

    async def serve(self, request: Request) -> Response:
        """Answer one request."""


def by_path(served: Iterable[Served]) -> list[BaseRoute]:
    """One route for each path with all its methods, so that a 405 names them all; literal paths before patterns."""
    paths: dict[str, dict[str, Served]] = {}
    for one in served:
        paths.setdefault(one.url_path, {})[one.method] = one
    ordered = sorted(paths, key=lambda path: ["{" in part for part in path.split("/")])
    return [Route(path, _dispatch(paths[path]), methods=list(paths[path])) for path in ordered]


def _dispatch(methods: dict[str, Served]) -> Callable[[Request], Awaitable[Response]]:
    async def answer(request: Request) -> Response:
        return await methods["GET" if request.method == "HEAD" else request.method].serve(request)

    return answer
