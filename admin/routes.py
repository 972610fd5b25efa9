"""Every route of the back office: pages and actions by two literal tables, piccolo-admin's tables, files."""

from starlette.routing import BaseRoute, Mount, Route

from admin.pages.table import PAGES
from admin.tables.guard import Tables
from admin.web.templates import ASSETS
from portal.web.dispatch import by_path
from portal.web.health import health, ready


def routes() -> list[BaseRoute]:
    """All of them, for Starlette."""
    return [
        Route("/health", health),
        Route("/ready", ready),
        ASSETS.route(),
        Mount("/tables", Tables()),
        *by_path(PAGES),
    ]
