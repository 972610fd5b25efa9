"""Every request of the back office that may change something, as the application itself has them."""

from starlette.applications import Starlette
from starlette.routing import Mount, Route

from admin.actions.table import ACTIONS
from admin.pages.table import PAGES
from admin.tables.guard import Tables
from admin.tables.permissions import PERMISSIONS, WRITES, Verb
from portal.web.forgery import SAFE_METHODS

CARRY_OUT = "POST /actions/{slug}"
_METHODS = {Verb.CREATE: "POST", Verb.CHANGE: "PATCH", Verb.DELETE: "DELETE"}


def unsafe_routes(app: Starlette) -> set[str]:
    """Method and path of each; each action by itself, and each table with each verb that somebody may."""
    found: set[str] = set()
    for route in app.routes:
        if isinstance(route, Route):
            found |= {f"{method} {route.path}" for method in route.methods or () if method not in SAFE_METHODS}
        else:
            assert isinstance(route, Mount), route
            assert isinstance(route.app, Tables), f"{route} may change something, and the walk does not know it"
            found |= {"POST /tables/public/logout", *_writes()}
    if CARRY_OUT in found:
        found = found - {CARRY_OUT} | {CARRY_OUT.replace("{slug}", action.slug) for action in ACTIONS}
    return found


def unchanging() -> set[str]:
    """Unsafe by method, and yet without a right to change: their transaction is read-only."""
    return {f"{page.method} {page.path}" for page in PAGES if page.method not in SAFE_METHODS and not page.changes}


def _writes() -> set[str]:
    return {
        f"{_METHODS[verb]} /tables/api/tables/{table}"
        for table, access in PERMISSIONS.items()
        for verb in WRITES
        if access.right(verb) is not None
    }
