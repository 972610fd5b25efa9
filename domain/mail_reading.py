"""The mails of the folder, read again: for development, where the folder stands in for everybody's mailbox."""

import re
from dataclasses import dataclass
from email import message_from_bytes
from email.message import EmailMessage
from email.policy import default
from pathlib import Path

from domain.faults import NotFound

MOST = 200
_NAME = re.compile(r"[0-9]{8}T[0-9]{6}-[0-9a-f-]{36}")
_LINK = re.compile(r"https?://\S+")


@dataclass(frozen=True, slots=True)
class KeptMail:
    """One mail. `pieces` are its text in order, each with whether it is a link."""

    name: str
    to: str
    subject: str
    date: str
    pieces: tuple[tuple[str, bool], ...]


def list_mails(folder: Path) -> list[KeptMail]:
    """The last MOST, newest first."""
    names = sorted((file.stem for file in folder.glob("*.eml") if _NAME.fullmatch(file.stem)), reverse=True)
    return [read_mail(folder, name) for name in names[:MOST]]


def read_mail(folder: Path, name: str) -> KeptMail:
    """One of them. Raises NotFound."""
    file = folder / f"{name}.eml"
    if not _NAME.fullmatch(name) or not file.is_file():
        raise NotFound("There is no such mail.")
    message = message_from_bytes(file.read_bytes(), _class=EmailMessage, policy=default)
    body = message.get_body(("plain",))
    text = str(body.get_content()) if body is not None else ""
    return KeptMail(name, str(message["to"]), str(message["subject"]), str(message["date"]), _pieces(text))


def _pieces(text: str) -> tuple[tuple[str, bool], ...]:
    pieces, done = [], 0
    for link in _LINK.finditer(text):
        pieces += [(text[done : link.start()], False), (link[0], True)]
        done = link.end()
    return (*pieces, (text[done:], False))
