"""What went wrong, as a page of the back office."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar
from urllib.parse import quote

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from admin.web.layout import Page
from admin.web.rendering import render
from admin.web.visit import Visit
from domain import faults
from portal.web.failures import TITLES, noted
from portal.web.measures import note_refusal


@dataclass(frozen=True, kw_only=True)
class FailurePage(Page):
    """Says what happened and what to do."""

    template: ClassVar[str] = "failure.html"
    detail: str
    request_id: str


class FactorNeeded(faults.Forbidden):
    """An operator without a second factor, where one is required."""

    code = "factor_needed"


async def page_of_fault(visit: Visit, fault: Exception) -> Response:
    """The page that tells of a fault. Who is not signed in goes to sign in, who needs a second factor to set one up."""
    if isinstance(fault, (faults.NotSignedIn, FactorNeeded)):
        note_refusal(fault.code)
    if isinstance(fault, faults.NotSignedIn):
        back = quote(visit.request.url.path, safe="/") if visit.request.method == "GET" else ""
        return RedirectResponse(f"/sign-in?next={back}" if back not in ("", "/") else "/sign-in", status_code=303)
    if isinstance(fault, FactorNeeded):
        return RedirectResponse("/account", status_code=303)
    failure = noted(fault, visit.request)
    page = FailurePage(
        title=TITLES.get(failure.status, "Error"),
        status=failure.status,
        detail=failure.detail,
        request_id=visit.request_id,
    )
    response = render(visit, page)
    response.headers.update(failure.headers)
    return response


async def _answer(request: Request, fault: Exception) -> Response:
    """What the router itself raises: no such route, wrong method, too large."""
    return await page_of_fault(Visit(request, request.app.state.services), fault)


EXCEPTION_HANDLERS: Mapping[Any, Any] = {HTTPException: _answer, faults.Fault: _answer}
