"""The runbook of this version, so that an alert leads to what is to be done."""

from dataclasses import dataclass
from typing import ClassVar

from admin.web.layout import Page
from admin.web.page import PageRoute
from admin.web.visit import Visit
from domain.operators import Right
from domain.runbook import Section, sections

PATH = "/runbook"


@dataclass(frozen=True, kw_only=True)
class RunbookPage(Page):
    """Its sections, as they are written."""

    template: ClassVar[str] = "runbook.html"
    title: str = "Runbook"
    sections: tuple[Section, ...]


async def show(_: Visit) -> Page:
    """GET /runbook."""
    return RunbookPage(sections=sections())


PAGES = (PageRoute(PATH, show, right=Right.LOOK),)
