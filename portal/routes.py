"""Every route of the portal in one flat table: pages, the API, files."""

from starlette.routing import BaseRoute, Route

from portal.api.openapi import openapi_document
from portal.api.table import ENDPOINTS
from portal.health import health, ready
from portal.pages.table import PAGES
from portal.web.assets import asset_route


def routes() -> list[BaseRoute]:
    """All of them, for Starlette."""
    return [
        Route("/health", health),
        Route("/ready", ready),
        asset_route(),
        Route("/api/openapi.json", openapi_document),
        *(endpoint.route() for endpoint in ENDPOINTS),
        *(page.route() for page in PAGES),
    ]
