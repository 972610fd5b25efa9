"""The runbook as it comes with this version (docs/runbook.md), by its sections; and which of them an alert is about."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from schema.messages import AlertKind

PAGE = Path(__file__).resolve().parent.parent / "docs" / "runbook.md"
ALERTS: Mapping[AlertKind, str] = {
    AlertKind.USAGE: "a-customer-nears-a-limit",
    AlertKind.SPEND_CAP: "a-customer-nears-a-spend-cap",
    AlertKind.CREDITS_LOW: "a-customer-runs-out-of-credits",
    AlertKind.USAGE_ERRORS: "a-customers-requests-fail",
    AlertKind.USAGE_COST: "a-customers-day-costs-much",
    AlertKind.ERROR_RATE: "a-service-fails-many-requests",
    AlertKind.DAY_COST: "a-day-costs-much",
}
"""The section of each kind of alert."""


_PIECES = re.compile(r"`([^`]+)`|\[([^\]]+)\]\(([^)]*)\)")
_AS_WRITTEN = ("|", "```", "- ", "1. ", "    ")


@dataclass(frozen=True, slots=True)
class Piece:
    """A part of a sentence: words, something to be typed (`code`), or a link to a section (`anchor`)."""

    text: str
    code: bool = False
    anchor: str = ""


@dataclass(frozen=True, slots=True)
class Block:
    """A paragraph, or what keeps its lines: a list, a table, commands."""

    text: str
    prose: bool

    @property
    def pieces(self) -> tuple[Piece, ...]:
        """A paragraph's parts. Of links to other pages the words stay."""
        found, at = [], 0
        for match in _PIECES.finditer(self.text):
            found.append(Piece(self.text[at : match.start()]))
            code, words, target = match.groups()
            anchor = target[1:] if target and target.startswith("#") else ""
            found.append(Piece(code or words, code=bool(code), anchor=anchor))
            at = match.end()
        return tuple(piece for piece in (*found, Piece(self.text[at:])) if piece.text)


@dataclass(frozen=True, slots=True)
class Section:
    """A heading with what stands below it, in Markdown. `anchor` is what links to it end with; `depth` 2 is a part."""

    title: str
    anchor: str
    depth: int
    text: str

    @property
    def blocks(self) -> tuple[Block, ...]:
        """What is parted by empty lines."""
        parts = re.split(r"\n{2,}", self.text)
        kept = [part.startswith(_AS_WRITTEN) for part in parts]
        return tuple(
            Block(part if as_is else " ".join(part.split()), prose=not as_is)
            for part, as_is in zip(parts, kept, strict=True)
        )


@cache
def sections() -> tuple[Section, ...]:
    """All of them in their order; none where the documentation is not installed."""
    if not PAGE.is_file():
        return ()
    parts = re.split(r"^(#{2,3}) (.+)$", PAGE.read_text(encoding="utf-8"), flags=re.MULTILINE)
    return tuple(
        Section(title, anchor_of(title), len(marks), text.strip())
        for marks, title, text in zip(parts[1::3], parts[2::3], parts[3::3], strict=True)
    )


def anchor_of(title: str) -> str:
    """How pages that show Markdown name a heading."""
    return re.sub(r"[^a-z0-9 -]", "", title.lower()).replace(" ", "-")
