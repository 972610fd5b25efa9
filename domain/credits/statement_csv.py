"""Ledger entries as CSV, with credits as exact decimal numbers."""

from collections.abc import Iterable

from domain.credit_amounts import credits_text
from domain.credits.entries import LedgerEntry
from domain.csv_texts import csv_lines

COLUMNS = (
    "number", "id", "at", "type", "credits", "balance_after", "requests", "reason", "reference", "refund_of",
)  # fmt: skip
_NUMBERS = frozenset((COLUMNS.index("credits"), COLUMNS.index("balance_after")))


def statement_head() -> bytes:
    """The first line."""
    return csv_lines([COLUMNS])


def statement_lines(entries: Iterable[LedgerEntry]) -> bytes:
    """One line for each entry."""
    rows = (
        (
            entry.number,
            str(entry.id),
            entry.created_at.isoformat(timespec="milliseconds"),
            entry.type.value,
            credits_text(entry.amount_micro),
            credits_text(entry.balance_after_micro),
            entry.requests or "",
            entry.reason,
            entry.reference,
            str(entry.refund_of or ""),
        )
        for entry in entries
    )
    return csv_lines(rows, numbers=_NUMBERS)
