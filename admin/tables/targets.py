"""What a request to `/tables/` asks for, by its method and path alone."""

from dataclasses import dataclass
from enum import StrEnum

from admin.tables.permissions import Verb


class Kind(StrEnum):
    """The parts of the panel. What is none of them is closed: its own door, passwords, media, factors, API pages."""

    PAGE = "page"
    ASSET = "asset"
    OPEN = "open"
    """Served by piccolo-admin as it is: texts, the name of who is signed in, the empty list of forms."""
    LINKS = "links"
    MENU = "menu"
    GROUPED_MENU = "grouped_menu"
    ROWS = "rows"
    SIGN_OUT = "sign_out"
    CLOSED = "closed"


@dataclass(frozen=True, slots=True)
class Target:
    """`table`, `verb` and `row` (an id as text) are of ROWS only."""

    kind: Kind
    table: str = ""
    verb: Verb = Verb.LIST
    row: str = ""


_SAFE = ("GET", "HEAD")
_READ = {
    "": Kind.PAGE,
    "public/meta": Kind.OPEN,
    "public/translations": Kind.OPEN,
    "api/user": Kind.OPEN,
    "api/forms": Kind.OPEN,
    "api/forms/grouped": Kind.OPEN,
    "api/links": Kind.LINKS,
    "api/tables": Kind.MENU,
    "api/tables/grouped": Kind.GROUPED_MENU,
}
_COLLECTION = {"POST": Verb.CREATE, "DELETE": Verb.DELETE_MANY, "PUT": Verb.REPLACE, "PATCH": Verb.REPLACE}
_ROW = {"PATCH": Verb.CHANGE, "PUT": Verb.REPLACE, "DELETE": Verb.DELETE, "POST": Verb.REPLACE}
_ABOUT = {verb.value: verb for verb in (Verb.SCHEMA, Verb.IDS, Verb.COUNT, Verb.REFERENCES, Verb.NEW)}


def target_of(method: str, path: str) -> Target:
    """The target of a path below the mount, without its first slash."""
    path = path.rstrip("/")
    parts = path.split("/")
    if parts[:2] == ["api", "tables"] and len(parts) in (3, 4) and path != "api/tables/grouped":
        return _rows(method, *parts[2:])
    if method not in _SAFE:
        signs_out = method == "POST" and path == "public/logout"
        return Target(Kind.SIGN_OUT if signs_out else Kind.CLOSED)
    if parts[0] == "assets" and len(parts) == 2:
        return Target(Kind.ASSET)
    if parts[:2] == ["public", "translations"] and len(parts) == 3:
        return Target(Kind.OPEN)
    return Target(_READ.get(path, Kind.CLOSED))


def _rows(method: str, table: str, row: str = "") -> Target:
    if method in _SAFE:
        verb = (_ABOUT.get(row) or Verb.GET) if row else Verb.LIST
        return Target(Kind.ROWS, table, verb, row if verb is Verb.GET else "")
    if row in _ABOUT:
        return Target(Kind.CLOSED)
    verb = (_ROW if row else _COLLECTION).get(method, Verb.REPLACE)
    return Target(Kind.ROWS, table, verb, row)
