"""The only call into Jinja: a page with what is around it, as an answer."""

from starlette.responses import HTMLResponse

from portal.web.layout import Page, layout_of
from portal.web.visit import Visit


def render(visit: Visit, page: Page) -> HTMLResponse:
    """The page's template gets `page` and `layout`, and nothing else."""
    text = visit.services.templates.text(page.template, page=page, layout=layout_of(visit))
    return HTMLResponse(text, status_code=page.status)
