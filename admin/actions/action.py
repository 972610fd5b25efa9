"""An operator's action: a form, what it would do, and doing it with a reason.

An action never works on what was not previewed: carrying out makes the preview again, in its own transaction, and goes on
only if it is the one that the operator saw. Each form is good once, so a second press does nothing.
"""

import hashlib
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from pydantic import BaseModel, ConfigDict

from admin.web.visit import Visit
from domain.operators import Right

Options = tuple[tuple[str, str], ...]
"""Pairs of value and label."""


class Values(BaseModel):
    """What a form brings, parsed. Subclasses name their fields; blanks around texts go, unknown fields are refused."""

    model_config = ConfigDict(extra="forbid", frozen=True, str_strip_whitespace=True, hide_input_in_errors=True)


@dataclass(frozen=True, slots=True)
class Field:
    """One field of an action's form. `kind`: text, area, number, date, moment, choice, check or hidden.

    `secret`: what is posted in it never stands in a page. A hidden field holds what a preview carries to the second form.
    `options` are what may be chosen, or read them; a field with options and kind text suggests them.
    """

    name: str
    label: str
    kind: str = "text"
    required: bool = True
    hint: str = ""
    maxlength: int = 200
    value: str = ""
    """What stands there at first."""
    options: Options | Callable[[Visit], Awaitable[Options]] = ()
    secret: bool = False


@dataclass(frozen=True, slots=True)
class Preview:
    """What an action would do now: sentences, what changes (name, now, then), what to think of first.

    `notes` are told too, but may move by themselves until it is done, such as a balance. `carried` are values of hidden
    fields for the second form, in the place of secret ones.
    """

    sentences: tuple[str, ...]
    changes: tuple[tuple[str, str, str], ...] = ()
    warnings: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
    carried: Mapping[str, str] = field(default_factory=dict)

    @property
    def fingerprint(self) -> str:
        """The same for the same preview, whatever its notes say."""
        return hashlib.sha256(repr((self.sentences, self.changes, self.warnings)).encode()).hexdigest()


@dataclass(frozen=True, slots=True, repr=False)
class Outcome:
    """What was done. `shown_once` are secrets with their labels; `links` lead on, as label and path.

    `report` says more, line by line.
    """

    sentence: str
    links: tuple[tuple[str, str], ...] = ()
    shown_once: tuple[tuple[str, str], ...] = ()
    report: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Action:
    """One action. `preview` only reads; `carry_out` changes, writes its audit entries with the reason, and may use both.

    Both raise domain faults, whose sentence the form then shows.
    """

    slug: str
    title: str
    group: str
    right: Right
    summary: str
    model: type[Values]
    fields: tuple[Field, ...]
    preview: Callable[[Visit, Any], Awaitable[Preview]]
    carry_out: Callable[[Visit, Any, str], Awaitable[Outcome]]
    button: str
    danger: bool = False

    @property
    def path(self) -> str:
        """Where its form is; fields are prefilled by the query."""
        return f"/actions/{self.slug}"
