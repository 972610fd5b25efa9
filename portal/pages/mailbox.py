"""The mailbox of development: everybody's mails, where no mail server is set. It does not exist anywhere else."""

import asyncio
from dataclasses import dataclass
from typing import ClassVar

from domain.faults import NotFound
from domain.mail_reading import KeptMail, list_mails, read_mail
from domain.mail_transport import mail_folder
from portal.web.admission import Audience
from portal.web.layout import Page
from portal.web.page import PageRoute
from portal.web.visit import Visit


@dataclass(frozen=True, kw_only=True)
class MailboxPage(Page):
    """All mails, newest first."""

    template: ClassVar[str] = "mailbox.html"
    mails: list[KeptMail]


@dataclass(frozen=True, kw_only=True)
class MailPage(Page):
    """One mail."""

    template: ClassVar[str] = "mail.html"
    mail: KeptMail


async def show(visit: Visit) -> Page:
    """GET /dev/mailbox."""
    _require_development(visit)
    mails = await asyncio.to_thread(list_mails, mail_folder(visit.settings.mail))
    return MailboxPage(title="Mailbox", mails=mails)


async def read(visit: Visit, mail: str) -> Page:
    """GET /dev/mailbox/{mail}."""
    _require_development(visit)
    kept = await asyncio.to_thread(read_mail, mail_folder(visit.settings.mail), mail)
    return MailPage(title=kept.subject, mail=kept)


def _require_development(visit: Visit) -> None:
    mail, portal = visit.settings.mail, visit.settings.portal
    if not mail.mailbox or mail.smtp_url.get_secret_value() or portal.secure:
        raise NotFound("There is no such page.")


PAGES = (
    PageRoute("/dev/mailbox", show, audience=Audience.ANYONE),
    PageRoute("/dev/mailbox/{mail}", read, audience=Audience.ANYONE),
)
