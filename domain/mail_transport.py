"""How a mail leaves: to a mail server, or into a folder."""

import asyncio
import ipaddress
import os
from dataclasses import dataclass
from datetime import datetime
from email.message import EmailMessage
from email.policy import SMTP
from email.utils import format_datetime, parseaddr
from pathlib import Path
from urllib.parse import unquote, urlsplit
from uuid import UUID

import aiosmtplib

from domain.mail_texts import MailText
from domain.portal_settings import MailSettings
from domain.setting_concern import DATA_DIR

STEP_SECONDS, WHOLE_SECONDS = 15, 45
"""For one answer of the mail server, and for one mail."""
_SUBMISSION, _SUBMISSIONS = 587, 465


class NotTaken(Exception):  # noqa: N818  an outcome, told to nobody but the row
    """The mail did not leave. `for_good`: trying again would not help."""

    def __init__(self, reason: str, *, for_good: bool) -> None:
        super().__init__(reason)
        self.for_good = for_good


@dataclass(frozen=True, slots=True)
class OutgoingMail:
    """One mail with its row's id and time, which make it recognisable when it is sent twice."""

    id: UUID
    created_at: datetime
    recipient: str
    content: MailText


def mail_folder(settings: MailSettings) -> Path:
    """Where mails go without a mail server."""
    return settings.folder or DATA_DIR / "mail"


async def send(settings: MailSettings, mail: OutgoingMail) -> None:
    """Hand the mail over. Raises NotTaken."""
    try:
        message = message_of(settings, mail)
    except (ValueError, TypeError) as error:
        raise NotTaken(f"It cannot be written: {error}", for_good=True) from None
    url = settings.smtp_url.get_secret_value()
    try:
        async with asyncio.timeout(WHOLE_SECONDS):
            if url:
                await _to_server(url, message, mail.recipient)
            else:
                await asyncio.to_thread(_to_folder, mail_folder(settings), message, mail)
    except (aiosmtplib.SMTPException, OSError, TimeoutError, ValueError) as error:
        raise NotTaken(_reason(error), for_good=_is_final(error)) from None


def message_of(settings: MailSettings, mail: OutgoingMail) -> EmailMessage:
    """The mail as it goes over the wire. Raises ValueError for an address that could make a header."""
    message = EmailMessage(policy=SMTP)
    message["From"] = settings.sender
    message["To"] = mail.recipient
    message["Subject"] = mail.content.subject
    message["Date"] = format_datetime(mail.created_at)
    message["Message-ID"] = f"<{mail.id}@{_sender_domain(settings)}>"
    message["Auto-Submitted"] = "auto-generated"
    message.set_content(mail.content.text, cte="quoted-printable")
    message.add_alternative(mail.content.html, subtype="html", cte="quoted-printable")
    return message


async def _to_server(url: str, message: EmailMessage, recipient: str) -> None:
    parts = urlsplit(url)
    host, secure = parts.hostname or "localhost", parts.scheme == "smtps"
    user = unquote(parts.username) if parts.username else None
    # A password leaves this machine under TLS only, whatever a server, or somebody in between, offers.
    start_tls = False if secure else (True if user and not _is_here(host) else None)
    await aiosmtplib.send(
        message,
        recipients=[recipient],
        hostname=host,
        port=parts.port or (_SUBMISSIONS if secure else _SUBMISSION),
        username=user,
        password=unquote(parts.password) if parts.password else None,
        use_tls=secure,
        start_tls=start_tls,
        timeout=STEP_SECONDS,
    )


def _to_folder(folder: Path, message: EmailMessage, mail: OutgoingMail) -> None:
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    name = f"{mail.created_at:%Y%m%dT%H%M%S}-{mail.id}.eml"
    begun = folder / f".{name}"
    with os.fdopen(os.open(begun, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "wb") as file:
        file.write(bytes(message))
    begun.replace(folder / name)


def _sender_domain(settings: MailSettings) -> str:
    return parseaddr(settings.sender)[1].rpartition("@")[2] or "localhost"


def _is_here(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def _is_final(error: Exception) -> bool:
    if isinstance(error, aiosmtplib.SMTPRecipientsRefused):
        return all(refused.code >= 500 for refused in error.recipients)
    return isinstance(error, aiosmtplib.SMTPDataError) and error.code >= 500


def _reason(error: Exception) -> str:
    if isinstance(error, aiosmtplib.SMTPRecipientsRefused):
        return "; ".join(f"{refused.code} {refused.message}" for refused in error.recipients)
    if isinstance(error, aiosmtplib.SMTPResponseException):
        return f"{error.code} {error.message}"
    return f"{type(error).__name__}: {error}"
