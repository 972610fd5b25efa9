"""A page of the back office: one frozen dataclass with its template, and the route that makes it."""

from collections.abc import Awaitable, Callable
from contextlib import nullcontext
from dataclasses import dataclass
from typing import Any

from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from admin.services import Services
from admin.web.admission import Audience, accounted, recognise, require, working
from admin.web.cookies import VISITOR
from admin.web.failures import page_of_fault
from admin.web.layout import Page
from admin.web.rendering import render
from admin.web.visit import Visit
from domain.operators import Right
from portal.web.cookies import read_cookie, set_cookie
from portal.web.forgery import FIELD, SAFE_METHODS, require_form_token, require_same_site
from portal.web.page import form_fields

Handler = Callable[..., Awaitable["Page | Response"]]


@dataclass(frozen=True, slots=True)
class PageRoute:
    """One page and method. The handler gets the visit and the path's parameters; it returns a Page or a Response.

    A POST changes something, in one transaction with at least one audit entry (who is not signed in yet may also leave
    without one), unless `changes` is False: then it only looks, and its transaction is read-only. `connected` False: the
    handler takes its own connections, because it lasts or waits for a password; it answers for its own transaction and
    audit.
    """

    path: str
    handler: Handler
    method: str = "GET"
    right: Right | None = None
    audience: Audience = Audience.OPERATOR
    connected: bool = True
    changes: bool = True

    @property
    def url_path(self) -> str:
        """The path as Starlette knows it."""
        return self.path

    async def serve(self, request: Request) -> Response:
        """Answer one request; every fault becomes a page."""
        services: Services = request.app.state.services
        visit = Visit(request, services)
        try:
            unsafe = request.method not in SAFE_METHODS
            if unsafe:
                require_same_site(request, services.settings.admin)
                visit.form = await form_fields(request)  # before anybody is looked up: it may take its time
            await recognise(visit)
            if unsafe:
                require_form_token(services.settings.secrets, visit.tied_to, str(visit.form.pop(FIELD, "")))
            require(visit, self.audience, self.right)
            if not self.connected:
                return await self._answer(visit)
            changes = self.changes and unsafe
            async with working(visit, changes=changes):
                return await self._changed(visit) if changes else await self._answer(visit)
        except Told as told:
            return told.answer
        except Exception as fault:  # noqa: BLE001  a boundary: every fault becomes a page, or goes on as it is
            return await page_of_fault(visit, fault)

    async def _changed(self, visit: Visit) -> Response:
        async with nullcontext() if self.audience is Audience.ANYONE else accounted(visit):
            answer = await self._answer(visit)
            if answer.status_code >= 400:  # what a page tells of was not done: nothing stays of it
                raise Told(answer)
        return answer

    async def _answer(self, visit: Visit) -> Response:
        made = await self.handler(visit, **visit.request.path_params)
        return finish(visit, made)


class Told(Exception):  # noqa: N818  carries an answer out of a transaction that is to be undone
    """An answer that tells of a fault."""

    def __init__(self, answer: Response) -> None:
        super().__init__("told")
        self.answer = answer


def finish(visit: Visit, made: Page | Response) -> Response:
    """A page as an answer; a browser that is not signed in gets what ties its forms to it."""
    response = made if isinstance(made, Response) else render(visit, made)
    face = visit.settings.admin
    if visit.signed_in is None and not read_cookie(visit.request, face, VISITOR):
        set_cookie(response, face, VISITOR, visit.visitor, seconds=None)
    return response


def see_other(path: str, *, done: str = "") -> RedirectResponse:
    """Go there with GET; `done` names the sentence of admin.web.done that the next page says."""
    if done:
        path += ("&" if "?" in path else "?") + f"done={done}"
    return RedirectResponse(path, status_code=303)


def chosen(visit: Visit, name: str) -> str:
    """A field of the address's query; empty if it is missing."""
    value: Any = visit.request.query_params.get(name, "")
    return str(value).strip()
