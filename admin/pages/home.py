"""The overview: what an operator looks at first."""

from dataclasses import dataclass
from typing import ClassVar

from admin.web.layout import Page
from admin.web.page import PageRoute
from admin.web.visit import Visit
from domain.operators import Right


@dataclass(frozen=True, kw_only=True)
class HomePage(Page):
    """Figures, each with its name and a note."""

    template: ClassVar[str] = "home.html"
    title: str = "Overview"
    figures: tuple[tuple[str, str, str], ...]


_COUNTS = """
select (select count(*) from organization where state = 'active') as active,
       (select count(*) from organization where state = 'suspended') as suspended
"""


async def show(visit: Visit) -> Page:
    """GET /."""
    counts = await visit.connection.fetchrow(_COUNTS)
    return HomePage(figures=(("Organizations", f"{counts['active']:,}", f"{counts['suspended']:,} suspended"),))


PAGES = (PageRoute("/", show, right=Right.LOOK),)
