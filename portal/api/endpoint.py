"""One operation of the JSON API: a literal declaration from which the route, its checks and its description are made."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any

from pydantic import BaseModel
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response

from domain.access import Permission
from domain.faults import InvalidValue
from portal.api.callers import recognise_caller
from portal.api.replies import once
from portal.services import Services
from portal.web.acting import note_request, noted
from portal.web.admission import Audience, path_values, require, working
from portal.web.bodies import read_body
from portal.web.failures import problem
from portal.web.forgery import SAFE_METHODS
from portal.web.visit import Visit

LARGEST_BODY = 1_048_576


@dataclass(frozen=True, slots=True)
class Endpoint:
    """Method and path under /api, who may call it, what it takes and answers.

    The handler gets the visit, the path's parameters by name, and `query` or `body` where a model is declared. It returns
    an `answer`, None where there is none, or a Response. `creates`: takes an Idempotency-Key. `connected` False: the
    handler takes its own connections, because it lasts. `shown_once` are fields of the answer that a repeat does not get.
    """

    method: str
    path: str
    handler: Callable[..., Awaitable[Any]]
    summary: str
    tag: str
    answer: type[BaseModel] | None = None
    query: type[BaseModel] | None = None
    body: type[BaseModel] | None = None
    permission: Permission | None = None
    audience: Audience = Audience.MEMBER
    status: int = 200
    creates: bool = False
    connected: bool = True
    shown_once: tuple[str, ...] = ()
    media_types: tuple[str, ...] = ("application/json",)
    description: str = ""
    etag: bool = False
    """Answers with an ETag; a change needs the same in If-Match."""
    also: tuple[int, ...] = ()
    """Further statuses that it may answer with."""
    acting: bool = False
    """Also for an operator who acts as a customer, as in PageRoute."""

    @property
    def url_path(self) -> str:
        """The path as Starlette knows it."""
        return f"/api{self.path}"

    async def serve(self, request: Request) -> Response:
        """Answer one request; every fault becomes a problem document."""
        services: Services = request.app.state.services
        visit = Visit(request, services)
        try:
            arguments = await self._arguments(request)
            async with working(visit):
                await recognise_caller(visit, member=self.audience is Audience.MEMBER)
                require(visit, self.audience, self.permission, acting=self.acting)
                if self.connected:
                    async with noted(visit):
                        return await self._once(visit, arguments)
                await note_request(visit)
            visit.connection = None
            return await self.call(visit, arguments)
        except Exception as fault:  # noqa: BLE001  a boundary: every fault becomes a problem document
            return problem(request, fault)

    async def _once(self, visit: Visit, arguments: dict[str, Any]) -> Response:
        if self.creates:
            return await once(visit, self, arguments, lambda: self.call(visit, arguments))
        return await self.call(visit, arguments)

    async def call(self, visit: Visit, arguments: dict[str, Any]) -> Response:
        """What the handler answers, as a response."""
        made = await self.handler(visit, **path_values(visit), **arguments)
        if isinstance(made, Response):
            return made
        if made is None:
            return Response(status_code=204)
        return Response(made.model_dump_json(by_alias=True), self.status, media_type="application/json")

    async def _arguments(self, request: Request) -> dict[str, Any]:
        arguments: dict[str, Any] = {}
        if self.query is not None:
            arguments["query"] = self.query.model_validate(_query(request))
        if self.body is not None:
            if request.headers.get("content-type", "").partition(";")[0].strip().lower() != "application/json":
                raise HTTPException(415)
            arguments["body"] = self.body.model_validate_json(await read_body(request, most=LARGEST_BODY))
        elif request.method not in SAFE_METHODS:
            await read_body(request, most=LARGEST_BODY)
        return arguments


def _query(request: Request) -> dict[str, Any]:
    """Each parameter once. Raises InvalidValue for one that stands there twice."""
    values: dict[str, str] = {}
    for name, value in request.query_params.multi_items():
        if name in values:
            raise InvalidValue(f"The parameter {name[:40]} stands there twice.")
        values[name] = value
    return values
