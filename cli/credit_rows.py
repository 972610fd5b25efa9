"""Credits as commands print them: micro-credits as whole numbers, and beside them as decimal text."""

from typing import Any

from cli.output import as_data
from domain.credit_amounts import credits_text
from domain.credits.booking import Booked
from domain.credits.entries import LedgerEntry


def with_texts(record: Any) -> dict[str, Any]:
    """A record's fields; each `x_micro` is followed by `x` as text, None for None."""
    data: dict[str, Any] = {}
    for name, value in as_data(record).items():
        data[name] = value
        if name.endswith("_micro"):
            data[name.removesuffix("_micro")] = None if value is None else credits_text(value)
    return data


def entry_row(entry: LedgerEntry, organization: str) -> dict[str, Any]:
    """One entry with the slug of its organization."""
    return {"id": str(entry.id), "organization": organization} | with_texts(entry)


def booked_row(booked: Booked, organization: str) -> dict[str, Any]:
    """The entry that a change made, or that was there under its key."""
    return entry_row(booked.entry, organization) | {"replayed": booked.replayed}


def for_people(row: dict[str, Any]) -> dict[str, Any]:
    """What a person wants to see of it: no micro-credits, and nothing that is not set."""
    return {name: value for name, value in row.items() if not name.endswith("_micro") and value not in (None, "", 0)}
