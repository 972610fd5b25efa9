"""A report as CSV: one head, one line a row; names that ids stand for as names, with their slug or ending beside them."""

from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from typing import Any

from domain.credit_amounts import credits_text
from domain.csv_texts import csv_lines
from domain.reports.shapes import Column, Named, Report

_ROWS_AT_ONCE = 500
_NAMED = ("organization", "operation", "service", "key", "plan")
_NUMBERS = ("credits_micro",)


def report_csv(report: Report) -> Iterator[bytes]:
    """Pieces of the file. Numbers stay numbers; texts that a spreadsheet would calculate begin with an apostrophe.

    Amounts are credits with their decimals, times ISO 8601 in UTC, percents and milliseconds plain numbers.
    """
    yield csv_lines([_heads(report.columns)])
    numbers = frozenset(_places(report.columns))
    for begin in range(0, len(report.rows), _ROWS_AT_ONCE):
        lines = [_cells(report.columns, row) for row in report.rows[begin : begin + _ROWS_AT_ONCE]]
        yield csv_lines(lines, numbers=numbers)


def _heads(columns: Sequence[Column]) -> list[str]:
    heads = []
    for column in columns:
        heads.append(column.name)
        if column.kind in _NAMED:
            heads.append(f"{column.name}_detail")
    return heads


def _places(columns: Sequence[Column]) -> Iterator[int]:
    """Where decimal numbers stand as texts."""
    place = 0
    for column in columns:
        if column.kind in _NUMBERS:
            yield place
        place += 2 if column.kind in _NAMED else 1


def _cells(columns: Sequence[Column], row: Sequence[Any]) -> list[Any]:
    cells: list[Any] = []
    for column, value in zip(columns, row, strict=True):
        if column.kind in _NAMED:
            cells += [value.name, value.detail] if isinstance(value, Named) else ["", ""]
        elif value is None:
            cells.append("")
        elif isinstance(value, datetime):
            cells.append(value.astimezone(UTC).isoformat())
        else:
            cells.append(credits_text(value) if column.kind == "credits_micro" else value)
    return cells
