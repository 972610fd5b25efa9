"""Mails as people see them: a template of domain/mails with its values, as text and as HTML in the product's look.

A template's first line is its subject. Paragraphs follow, with an empty line between them; a paragraph
`[Words]({link})` is a button. Values are only ever words: they make no line, no link, no header and no markup.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from html import escape
from pathlib import Path

from domain.faults import Fault

FOLDER = Path(__file__).resolve().parent / "mails"
LONGEST_SUBJECT = 200
_NAME = re.compile(r"[a-z][a-z0-9_]*")
_PLACE = re.compile(r"\{([a-z_]+)\}")
_BUTTON = re.compile(r"\[([^\]]+)\]\((.+)\)")
_SUBJECT = "Subject: "

_PAGE = """<!doctype html>
<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width">
<meta name="color-scheme" content="light dark"><title>{subject}</title></head>
<body style="margin:0;padding:32px 16px;background:#fbfbfa;color:#1b1e1b;font:16px/1.5 system-ui,'Segoe UI',Roboto,sans-serif">
<div style="max-width:34rem;margin:0 auto;padding:24px;background:#ffffff;border:1px solid #dfe1dd;border-radius:12px;overflow-wrap:anywhere">
<p style="margin:0 0 24px;font-weight:650;color:#0f766e">{product}</p>
<h1 style="margin:0 0 16px;font-size:22px;line-height:1.25">{subject}</h1>
{body}
</div>
<p style="max-width:34rem;margin:16px auto 0;color:#565d57;font-size:13px">{product} · {base_url}</p>
</body></html>
"""
_PARAGRAPH = '<p style="margin:0 0 16px">{words}</p>'
_LINK = (
    '<p style="margin:0 0 8px"><a href="{url}" style="display:inline-block;padding:10px 18px;border-radius:8px;'
    'background:#0f766e;color:#ffffff;font-weight:600;text-decoration:none">{words}</a></p>'
    '<p style="margin:0 0 16px;color:#565d57;font-size:13px">Or open: {url}</p>'
)


class BrokenMail(Fault):
    """A mail that cannot be made: no such template, or a value is missing."""

    code = "broken_mail"


@dataclass(frozen=True, slots=True)
class MailText:
    """One mail, ready to be sent."""

    subject: str
    text: str
    html: str


def render(template: str, values: Mapping[str, str]) -> MailText:
    """The mail of a template. `values` hold all its names, and `product` and `base_url`. Raises BrokenMail."""
    subject, paragraphs = _template(template)
    title = _filled(subject, values)[:LONGEST_SUBJECT]
    texts, html = [], []
    for paragraph in paragraphs:
        button = _BUTTON.fullmatch(paragraph)
        if button is None:
            words = _filled(paragraph, values)
            texts.append(words)
            html.append(_PARAGRAPH.format(words=escape(words)))
            continue
        words, url = _filled(button[1], values), _url(button[2], values)
        texts.append(f"{words}:\n{url}")
        html.append(_LINK.format(words=escape(words), url=escape(url)))
    product, base_url = _filled("{product}", values), _filled("{base_url}", values)
    page = _PAGE.format(subject=escape(title), product=escape(product), base_url=escape(base_url), body="\n".join(html))
    return MailText(title, "\n\n".join([*texts, f"-- \n{product} - {base_url}"]) + "\n", page)


@cache
def _template(name: str) -> tuple[str, tuple[str, ...]]:
    file = FOLDER / f"{name}.txt"
    if not _NAME.fullmatch(name) or not file.is_file():
        raise BrokenMail(f"There is no mail {name[:60]}.")
    head, _, body = file.read_text("utf-8").partition("\n")
    paragraphs = tuple(" ".join(part.split()) for part in body.split("\n\n") if part.strip())
    if not head.startswith(_SUBJECT) or not paragraphs:
        raise BrokenMail(f"The mail {name} has no subject or no words.")
    return head.removeprefix(_SUBJECT).strip(), paragraphs


def _filled(text: str, values: Mapping[str, str]) -> str:
    """The text with its values put in once: what stands in a value is never looked at again."""

    def value(place: re.Match[str]) -> str:
        if place[1] not in values:
            raise BrokenMail(f"The mail needs a value for {place[1]}.")
        return _one_line(str(values[place[1]]))

    return _PLACE.sub(value, text)


def _one_line(text: str) -> str:
    return " ".join("".join(character if character.isprintable() else " " for character in text).split())


def _url(text: str, values: Mapping[str, str]) -> str:
    url = _filled(text, values)
    if not url.startswith(("https://", "http://")) or " " in url:
        raise BrokenMail("A button of the mail leads nowhere.")
    return url
