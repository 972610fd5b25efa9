"""What became of one mail: never what stood in it."""

from dataclasses import dataclass
from typing import ClassVar
from uuid import UUID

from admin.web.layout import Page
from admin.web.page import PageRoute
from admin.web.visit import Visit
from domain.faults import NotFound
from domain.operating.mail_check import Fate, fetch_fate
from domain.operators import Right


@dataclass(frozen=True, kw_only=True)
class MailPage(Page):
    """One mail of the outbox."""

    template: ClassVar[str] = "mail.html"
    title: str = "A mail"
    mail: Fate


async def show(visit: Visit, message_id: str) -> Page:
    """GET /mails/{message_id}."""
    try:
        which = UUID(message_id)
    except ValueError:
        raise NotFound("There is no such mail.") from None
    return MailPage(mail=await fetch_fate(visit.connection, which))


PAGES = (PageRoute("/mails/{message_id}", show, right=Right.RUN),)
