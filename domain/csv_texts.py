"""CSV as programs and spreadsheets read it: RFC 4180, UTF-8, and no text that a spreadsheet would calculate (case A7)."""

import csv
import io
from collections.abc import Iterable, Sequence

_FORMULA = ("=", "+", "-", "@", "\t", "\r", "\n", "\uff1d", "\uff0b", "\uff0d", "\uff20")
"""What formulas begin with, also in the full-width forms that some spreadsheets take for the same."""


def safe_cell(value: object) -> object:
    """A text with an apostrophe before what a spreadsheet would calculate; a number and nothing as they are."""
    if isinstance(value, str) and value.lstrip(" ").startswith(_FORMULA):
        return f"'{value}"
    return value


def csv_lines(rows: Iterable[Sequence[object]], *, numbers: frozenset[int] = frozenset()) -> bytes:
    """Rows as lines. The columns `numbers` hold decimal numbers as texts, whose sign is no formula."""
    text = io.StringIO()
    csv.writer(text, lineterminator="\r\n").writerows(
        [value if place in numbers else safe_cell(value) for place, value in enumerate(row)] for row in rows
    )
    return text.getvalue().encode("utf-8", "replace")
