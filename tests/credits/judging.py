"""What must hold after every step, of all that is stored: L1 to L4, L6, L7, L15. Each compares with the oracle or raises."""

import hashlib
from collections import Counter
from dataclasses import dataclass, field
from typing import Any
from uuid import UUID

from tests.credits.oracle import Oracle


@dataclass
class Stored:
    """The rows of some organizations, as they are after a step; `hashes` are those of the entries after the step before."""

    accounts: list[Any]
    entries: list[Any]
    grants: list[Any]
    reservations: list[Any]
    hashes: dict[UUID, str] = field(default_factory=dict)


async def read(connection: Any, owners: list[UUID], hashes: dict[UUID, str]) -> Stored:
    tables = "credit_account", "credit_entry", "credit_grant", "credit_reservation"
    rows = [
        await connection.fetch(f"select * from {table} where organization_id = any($1)", owners) for table in tables
    ]
    return Stored(*rows, hashes)


def l1_every_movement_is_above_0_and_between_two_accounts(stored: Stored, oracle: Oracle) -> None:
    for row in stored.entries:
        assert row["amount_micro"] > 0
        assert (row["debit"] == "credits") != (row["credit"] == "credits")
    signed = {entry.id: entry.signed for entry in oracle.entries()}
    assert {row["id"]: _signed(row) for row in stored.entries} == signed


def l2_every_balance_is_what_its_entries_add_up_to(stored: Stored, oracle: Oracle) -> None:
    for row in stored.accounts:
        book = oracle.books[row["organization_id"]]
        assert {name: row[f"{name}_micro"] for name in book.balances()} == book.balances()
        rows = [each for each in stored.entries if each["organization_id"] == row["organization_id"]]
        rows.sort(key=lambda each: each["number"])
        assert [each["number"] for each in rows] == list(range(1, len(book.entries) + 1))
        running = 0
        for each in rows:
            running += _signed(each)
            assert each["balance_after_micro"] == running


def l2_grants_burn_in_their_order(stored: Stored, oracle: Oracle) -> None:
    expected = {each.entry.id: each.remaining for book in oracle.books.values() for each in book.grants}
    assert {row["entry_id"]: row["remaining_micro"] for row in stored.grants} == expected


def l3_nothing_is_below_0(stored: Stored, oracle: Oracle) -> None:
    for row in stored.accounts:
        assert row["balance_micro"] - row["leased_micro"] - row["reserved_micro"] >= 0
        assert min(row["leased_micro"], row["reserved_micro"]) >= 0


def l4_a_reservation_ends_once_with_at_most_what_was_held(stored: Stored, oracle: Oracle) -> None:
    expected: dict[UUID, tuple[str, int]] = {}
    for book in oracle.books.values():
        expected |= book.ended | dict.fromkeys(book.held, ("held", 0))
    assert {row["id"]: (row["state"], row["settled_micro"]) for row in stored.reservations} == expected


def l6_what_was_written_never_changes(stored: Stored, oracle: Oracle) -> None:
    hashes = {row["id"]: hashlib.sha256(repr(row).encode()).hexdigest() for row in stored.entries}
    assert stored.hashes.items() <= hashes.items()
    stored.hashes = hashes


def l7_refunds_are_at_most_what_was_moved(stored: Stored, oracle: Oracle) -> None:
    by_id = {row["id"]: row for row in stored.entries}
    given = Counter[UUID]()
    for row in stored.entries:
        if row["refund_of"] is not None:
            assert by_id[row["refund_of"]]["type"] in {"purchase", "usage"}
            given[row["refund_of"]] += row["amount_micro"]
    assert all(amount <= by_id[id_]["amount_micro"] for id_, amount in given.items())


def l15_credits_bought_are_the_payments_each_once(stored: Stored, oracle: Oracle) -> None:
    bought = sum(row["amount_micro"] for row in stored.entries if row["type"] == "purchase")
    assert bought == sum(oracle.paid.values())


CHECKS = (
    l1_every_movement_is_above_0_and_between_two_accounts,
    l2_every_balance_is_what_its_entries_add_up_to,
    l2_grants_burn_in_their_order,
    l3_nothing_is_below_0,
    l4_a_reservation_ends_once_with_at_most_what_was_held,
    l6_what_was_written_never_changes,
    l7_refunds_are_at_most_what_was_moved,
    l15_credits_bought_are_the_payments_each_once,
)


def _signed(row: Any) -> int:
    return row["amount_micro"] if row["credit"] == "credits" else -row["amount_micro"]
