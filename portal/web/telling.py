"""A page that tells a fault itself: same status, sentence and headers as the fault has everywhere else."""

from dataclasses import replace

from starlette.responses import Response

from domain.faults import Fault
from portal.web.failures import failure_of
from portal.web.layout import Page
from portal.web.rendering import render
from portal.web.visit import Visit


def told(visit: Visit, page: Page, fault: Fault) -> Response:
    """The page with what went wrong above its content."""
    failure = failure_of(fault)
    status, headers = (failure.status, failure.headers) if failure else (422, {})
    response = render(visit, replace(page, error=str(fault), status=status))
    response.headers.update(headers)
    return response
