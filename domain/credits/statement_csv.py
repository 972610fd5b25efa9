"""Ledger entries as CSV (RFC 4180), with credits as exact decimal numbers."""

import csv
import io
from collections.abc import Iterable

from domain.credit_amounts import credits_text
from domain.credits.entries import LedgerEntry

COLUMNS = (
    "number", "id", "at", "type", "credits", "balance_after", "requests", "reason", "reference", "refund_of",
)  # fmt: skip
_FORMULA = ("=", "+", "-", "@", "\t", "\r", "\n")


def csv_head() -> bytes:
    """The first line."""
    return _lines([COLUMNS])


def csv_lines(entries: Iterable[LedgerEntry]) -> bytes:
    """One line for each entry. Words that a spreadsheet would take for a formula begin with an apostrophe (case A7)."""
    return _lines(
        (
            str(entry.number),
            str(entry.id),
            entry.created_at.isoformat(timespec="milliseconds"),
            entry.type.value,
            credits_text(entry.amount_micro),
            credits_text(entry.balance_after_micro),
            str(entry.requests or ""),
            _words(entry.reason),
            _words(entry.reference),
            str(entry.refund_of or ""),
        )
        for entry in entries
    )


def _words(text: str) -> str:
    return f"'{text}" if text.startswith(_FORMULA) else text


def _lines(rows: Iterable[tuple[str, ...]]) -> bytes:
    written = io.StringIO()
    csv.writer(written).writerows(rows)
    return written.getvalue().encode()
