"""What became of every row: a line for each, and sums of them."""

from collections import Counter
from dataclasses import dataclass, field

from domain.csv_texts import csv_lines
from domain.legacy.notes import Note, Outcome

HEAD = ("table", "old_id", "outcome", "notes", "changed", "here")


@dataclass(frozen=True, slots=True)
class Line:
    """One row. `changed` names columns that are others than when it was imported; `here` is what it is called here."""

    table: str
    old_id: str
    outcome: Outcome
    notes: tuple[Note, ...] = ()
    changed: tuple[str, ...] = ()
    here: str = ""


@dataclass(frozen=True, slots=True)
class Total:
    """So many rows of a table came out so; with a note: so many of them have it. A row can have several notes."""

    table: str
    outcome: str
    note: str
    rows: int


@dataclass(slots=True)
class Totals:
    """The sums of a run. `reset_links` are mails that were queued, or would be."""

    lines: Counter[tuple[str, str]] = field(default_factory=Counter)
    notes: Counter[tuple[str, str, str]] = field(default_factory=Counter)
    reset_links: int = 0

    def add(self, line: Line) -> None:
        """Count a line."""
        self.lines[line.table, line.outcome.value] += 1
        for note in line.notes:
            self.notes[line.table, line.outcome.value, note.value] += 1

    def count(self, table: str, rows: int, note: Note) -> None:
        """Count the rows of a table of which none is imported."""
        self.lines[table, Outcome.COUNTED.value] += rows
        self.notes[table, Outcome.COUNTED.value, note.value] += rows

    def rows(self) -> list[Total]:
        """All sums, in the order in which tables were read; each outcome, then its notes."""
        found = []
        for (table, outcome), rows in self.lines.items():
            found.append(Total(table, outcome, "", rows))
            found += [
                Total(table, outcome, note, count)
                for (of, came, note), count in sorted(self.notes.items())
                if (of, came) == (table, outcome)
            ]
        order = {table: place for place, (table, _) in reversed(list(enumerate(self.lines)))}
        return sorted(found, key=lambda total: order[total.table])


def csv_of(lines: list[Line]) -> bytes:
    """Lines of the report's file; no cell is a formula."""
    return csv_lines(
        (line.table, line.old_id, line.outcome.value, "; ".join(line.notes), ", ".join(line.changed), line.here)
        for line in lines
    )
