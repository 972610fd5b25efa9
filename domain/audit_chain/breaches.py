"""What is found wrong with the chain, in a sentence that names the row."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from enum import StrEnum
from typing import Any
from uuid import UUID

from domain.audit_chain.encoding import COLUMNS, content_of, link_hash

_AT = {name: number for number, name in enumerate(COLUMNS)}


class BreachKind(StrEnum):
    """How history differs from what was sealed."""

    CHANGED = "changed"
    MISSING = "missing"
    ADDED = "added"
    REORDERED = "reordered"
    REWRITTEN = "rewritten"


@dataclass(frozen=True, slots=True)
class Breach:
    """The first row that is wrong. `position` is its place in the chain, `entry_id` the entry, where there is one."""

    kind: BreachKind
    sentence: str
    position: int | None = None
    day: str | None = None
    entry_id: UUID | None = None


@dataclass(frozen=True, slots=True)
class StoredLink:
    """A link as it is stored, with the texts of its entry; None: the entry is gone."""

    position: int
    entry_id: UUID
    day: str
    sealed_at: str
    hash: bytes
    texts: Sequence[str | None] | None

    @property
    def content(self) -> bytes:
        """The hash of the entry. There must be one."""
        return content_of(self.texts or ())

    def hash_behind(self, before: bytes) -> bytes:
        """What its hash must be behind a link with the hash `before`."""
        return link_hash(before, self.position, self.day, self.sealed_at, self.content)


def entry_gone(link: StoredLink) -> Breach:
    """The link is there, its entry is not."""
    sentence = f"Entry {link.entry_id} is missing: position {link.position}, sealed for {link.day}."
    return Breach(BreachKind.MISSING, sentence, link.position, link.day, link.entry_id)


def links_gone(first: int, last: int, day: str | None, *, at_end: bool) -> Breach:
    """No link is there at these positions; `day` is the one that a seal still says."""
    which = f"The link at position {first} is" if first == last else f"The links at positions {first} to {last} are"
    where = "the end of the chain" if at_end else "later links are there"
    sealed = f"sealed for {day}" if day else "and so is their seal"
    return Breach(BreachKind.MISSING, f"{which} missing, {sealed}: {where}.", first, day)


def wrong_hash(link: StoredLink, before: bytes, near: Sequence[StoredLink]) -> Breach:
    """The link and its entry do not make the hash that is stored: moved, if another entry `near` does; else changed."""
    hashes = {other.hash for other in near}
    for other in near:
        if other is link or other.texts is None:
            continue
        for stamps in (link, other):
            if link_hash(before, link.position, stamps.day, stamps.sealed_at, other.content) in hashes:
                sentence = (
                    f"Entry {link.entry_id} stands at position {link.position} ({link.day}), where entry"
                    f" {other.entry_id} was sealed: entries or links were reordered."
                )
                return Breach(BreachKind.REORDERED, sentence, link.position, link.day, link.entry_id)
    sentence = (
        f"Entry {link.entry_id} at position {link.position} ({link.day}) is not what was sealed. As it stands:"
        f" {_described(link.texts or ())}. It or its link was changed."
    )
    return Breach(BreachKind.CHANGED, sentence, link.position, link.day, link.entry_id)


def behind_last_seal(link: StoredLink) -> Breach:
    """The link has the right hash and is in no seal."""
    sentence = (
        f"Entry {link.entry_id} at position {link.position} ({link.day}) is behind the last seal: it was added by"
        " somebody else than the sealer, or its seal was deleted."
    )
    return Breach(BreachKind.ADDED, sentence, link.position, link.day, link.entry_id)


def wrong_seal(seal: Mapping[str, Any]) -> Breach:
    """The seal says something else than the last of its links."""
    sentence = (
        f"The seal of positions {seal['first_position']} to {seal['last_position']} ({seal['day']}) is not what the link"
        " at its end says: one of them was changed."
    )
    return Breach(BreachKind.CHANGED, sentence, seal["last_position"], seal["day"])


def seal_gone(first: int, day: str) -> Breach:
    """No seal begins where the one before ended."""
    return Breach(BreachKind.MISSING, f"The seal that begins at position {first} is missing.", first, day)


def never_linked(entry_id: UUID, created_at: str) -> Breach:
    """The entry is there, and neither linked nor waiting."""
    sentence = f"Entry {entry_id}, said to be of {created_at} UTC, was added behind the chain's back: it has no link."
    return Breach(BreachKind.ADDED, sentence, entry_id=entry_id)


def gone_unsealed(entry_id: UUID, created_at: str) -> Breach:
    """The entry waited for its link, and is gone."""
    sentence = f"Entry {entry_id}, written at {created_at} UTC, is missing: deleted before it was sealed."
    return Breach(BreachKind.MISSING, sentence, entry_id=entry_id)


def not_expected(head: bytes, until: date | None) -> Breach:
    """The chain is sound, and never had the head that somebody noted."""
    days = f" up to {until}" if until else ""
    sentence = f"No link{days} has the hash {head.hex()}: the history up to that head was rewritten, or cut off."
    return Breach(BreachKind.REWRITTEN, sentence)


def _described(texts: Sequence[str | None]) -> str:
    """Who, what and which, as the entry says now."""
    words = [texts[_AT[name]] for name in ("actor_name", "verb", "object_type", "object_name")]
    return " ".join(word[:80] for word in words if word) or "nothing"
