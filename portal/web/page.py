"""A page: one frozen dataclass with its template, and the route that makes it."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from domain.access import Permission
from portal.services import Services
from portal.web.acting import note_request, noted
from portal.web.admission import Audience, enter, path_values, recognise, require, working
from portal.web.bodies import read_body
from portal.web.cookies import VISITOR, read_cookie, set_cookie
from portal.web.failures import page_of_fault
from portal.web.forgery import FIELD, SAFE_METHODS, require_form_token, require_same_site
from portal.web.layout import Page
from portal.web.rendering import render
from portal.web.visit import Visit

Handler = Callable[..., Awaitable["Page | Response"]]
MOST_FIELDS = 200
LARGEST_FORM = 262_144
"""Bytes. The largest that we ask for is a body to try, of 64 kB, each byte of which may take three."""


@dataclass(frozen=True, slots=True)
class PageRoute:
    """One page and method. For a MEMBER the path begins with /o/{organization}; other path parameters go to the handler.

    The handler gets the visit and returns a Page, or a Response such as `see_other`. `connected` False: it takes its
    own connections, because it lasts.
    """

    path: str
    handler: Handler
    method: str = "GET"
    permission: Permission | None = None
    audience: Audience = Audience.MEMBER
    connected: bool = True
    acting: bool = False
    """Also for an operator who acts as a customer, because it is nobody's: a member's page is open to them anyway."""

    @property
    def url_path(self) -> str:
        """The path as Starlette knows it."""
        return self.path

    async def serve(self, request: Request) -> Response:
        """Answer one request; every fault becomes a page."""
        services: Services = request.app.state.services
        visit = Visit(request, services)
        try:
            if request.method not in SAFE_METHODS:
                require_same_site(request, services.settings.portal)
                visit.form = await form_fields(request)
            async with working(visit):
                await self._admit(visit)
                if self.connected:
                    async with noted(visit):
                        return await self._answer(visit)
                await note_request(visit)
            visit.connection = None
            return await self._answer(visit)
        except Exception as fault:  # noqa: BLE001  a boundary: every fault becomes a page, or goes on as it is
            return await page_of_fault(visit, fault)

    async def _admit(self, visit: Visit) -> None:
        await recognise(visit)
        if "organization" in visit.request.path_params:
            enter(visit, visit.request.path_params["organization"])
        if visit.request.method not in SAFE_METHODS:
            require_form_token(visit.settings.secrets, visit.tied_to, str(visit.form.pop(FIELD, "")))
        require(visit, self.audience, self.permission, acting=self.acting)

    async def _answer(self, visit: Visit) -> Response:
        made = await self.handler(visit, **path_values(visit))
        return finish(visit, made)


def finish(visit: Visit, made: Page | Response) -> Response:
    """A page as an answer; a browser that is not signed in gets what ties its forms to it."""
    response = made if isinstance(made, Response) else render(visit, made)
    portal = visit.settings.portal
    if visit.session is None and not read_cookie(visit.request, portal, VISITOR):
        set_cookie(response, portal, VISITOR, visit.visitor, seconds=None)
    return response


def see_other(path: str, *, done: str = "") -> RedirectResponse:
    """Go there with GET; `done` names the sentence of portal.web.done that the next page says."""
    if done:
        path += ("&" if "?" in path else "?") + f"done={done}"
    return RedirectResponse(path, status_code=303)


async def form_fields(request: Request) -> dict[str, Any]:
    """A form's fields. One that stands there several times is a list; files are not taken. Raises HTTPException."""
    # Multipart names its character set, and the sender would choose the decoder: slow ones, and ones that make surrogates.
    if request.headers.get("content-type", "").lstrip().lower().startswith("multipart/"):
        raise HTTPException(415)
    await read_body(request, most=LARGEST_FORM)
    async with request.form(max_fields=MOST_FIELDS) as form:
        return {name: values if len(values := form.getlist(name)) > 1 else values[0] for name in form}
