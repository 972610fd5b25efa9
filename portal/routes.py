"""Every route of the portal in one flat table: pages, the API, files."""

from starlette.routing import BaseRoute, Route

from portal.api.openapi import openapi_document
from portal.api.table import ENDPOINTS
from portal.pages.table import PAGES
from portal.web.assets import ASSETS
from portal.web.dispatch import by_path
from portal.web.health import health, ready


def routes() -> list[BaseRoute]:
    """All of them, for Starlette."""
    return [
        Route("/health", health),
        Route("/ready", ready),
        ASSETS.route(),
        Route("/api/openapi.json", openapi_document),
        *by_path(ENDPOINTS),
        *by_path(PAGES),
    ]
