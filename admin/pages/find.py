"""Finding anything by what an operator has of it."""

from dataclasses import dataclass
from typing import ClassVar
from urllib.parse import quote

from starlette.responses import Response

from admin.web.layout import Page
from admin.web.page import PageRoute, chosen, see_other
from admin.web.visit import Visit
from domain.back_office.finding import LONGEST, Found, Match, find, without_secret
from domain.operators import Right

PATH = "/find"


@dataclass(frozen=True, kw_only=True)
class FindPage(Page):
    """What fits `text`."""

    template: ClassVar[str] = "find.html"
    title: str = "Find"
    text: str
    found: Found

    def path_of(self, match: Match) -> str:
        """The page of a match."""
        return path_of(match.kind, match.ref)


def path_of(kind: str, ref: str) -> str:
    """The page of a thing by its kind."""
    folder = {
        "organization": "organizations",
        "key": "keys",
        "user": "users",
        "request": "requests",
        "plan": "plans",
        "job": "async-jobs",
    }
    if kind == "service":
        return f"/reports/errors-by-operation?service={quote(ref, safe='')}"
    return f"/{folder[kind]}/{quote(ref, safe='')}"


async def show(visit: Visit) -> Page | Response:
    """GET /find?q=: one match is opened at once; a whole API key is cut before it is looked for, and leaves the address."""
    given = chosen(visit, "q")
    text = without_secret(given)[:LONGEST]
    if text != given:
        return see_other(f"{PATH}?q={quote(text, safe='')}")
    found = await find(visit.connection, text, visit.services.logs)
    if len(found.matches) == 1 and not chosen(visit, "list"):
        only = found.matches[0]
        return see_other(path_of(only.kind, only.ref))
    return FindPage(text=text, found=found)


PAGES = (PageRoute(PATH, show, right=Right.LOOK),)
