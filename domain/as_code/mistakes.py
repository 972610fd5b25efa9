"""What is wrong in a file that people wrote, and where."""

import difflib
from collections.abc import Iterable
from dataclasses import dataclass
from itertools import islice
from typing import NamedTuple

from domain.faults import InvalidValue


class Place(NamedTuple):
    """A position in a text; lines and columns count from 1."""

    line: int
    column: int


START = Place(1, 1)
MOST = 500
_COMPARED = 2_000


@dataclass(frozen=True, slots=True, order=True)
class Mistake:
    """One thing that is wrong, as a sentence."""

    place: Place
    text: str

    def __str__(self) -> str:
        return f"{self.place.line}:{self.place.column}: {self.text}"


class Mistakes(list[Mistake]):
    """Mistakes as they are found; so many that nobody reads them end the search (Mistaken)."""

    def append(self, mistake: Mistake) -> None:
        """Add one. Raises Mistaken with all at MOST."""
        super().append(mistake)
        if len(self) >= MOST:
            raise Mistaken(self)


class Mistaken(InvalidValue):
    """A file with mistakes, in the order of the file; nothing of it was applied."""

    code = "configuration_invalid"

    def __init__(self, mistakes: Iterable[Mistake]) -> None:
        self.mistakes = tuple(sorted(set(mistakes)))
        super().__init__("\n".join(map(str, self.mistakes)))


def did_you_mean(word: str, known: Iterable[str]) -> str:
    """` Did you mean NAME?`, or nothing when no known name is near."""
    near = difflib.get_close_matches(word[:80], list(islice(known, _COMPARED)), n=1, cutoff=0.6)
    return f" Did you mean {near[0]}?" if near else ""
