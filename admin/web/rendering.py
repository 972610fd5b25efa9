"""The only call into Jinja: a page with what is around it, as an answer."""

from dataclasses import replace

from starlette.responses import HTMLResponse, Response

from admin.web.layout import Page, layout_of
from admin.web.visit import Visit
from domain.faults import Fault
from portal.web.failures import failure_of


def render(visit: Visit, page: Page) -> HTMLResponse:
    """The page's template gets `page` and `layout`, and nothing else."""
    text = visit.services.templates.text(page.template, page=page, layout=layout_of(visit))
    return HTMLResponse(text, status_code=page.status)


def told(visit: Visit, page: Page, fault: Fault) -> Response:
    """The page with what went wrong above its content, with the fault's status and headers."""
    failure = failure_of(fault)
    status, headers = (failure.status, failure.headers) if failure else (422, {})
    response = render(visit, replace(page, error=str(fault), status=status))
    response.headers.update(headers)
    return response
