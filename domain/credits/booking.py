"""One change of an organization's credits by a person or a program: under the account's lock, once under its key."""

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any
from uuid import UUID

import asyncpg

from domain.credit_amounts import LARGEST_CREDITS, MICRO, credits_text
from domain.credits.entries import LedgerEntry, fetch_entry
from domain.credits.idempotency import find_earlier, fingerprint, valid_idempotency_key
from domain.credits.movements import Movement
from domain.credits.posting import AccountRow, lock_accounts, post
from domain.faults import InvalidValue, NotFound

LARGEST_MICRO = LARGEST_CREDITS * MICRO
LONGEST_TEXT = 500


@dataclass(frozen=True, slots=True)
class Booked:
    """The entry that was asked for. `replayed`: it was there already under this key, and nothing moved now."""

    entry: LedgerEntry
    replayed: bool


Decide = Callable[[AccountRow], Awaitable[Movement]]
"""What moves, given the account under its lock; raises a fault if it must not."""


async def book(
    connection: Any, organization_id: UUID, key: str | None, asked: Mapping[str, Any], decide: Decide
) -> Booked:
    """Post what `decide` says in one transaction, unless it was posted before under `key`.

    Inside of a transaction of the caller's the account stays locked until that one ends; one organization only then.
    Raises NotFound, InvalidValue, KeyReused, and what `decide` raises.
    """
    key = valid_idempotency_key(key)
    try:
        async with connection.transaction():
            return await _book(connection, organization_id, key, fingerprint(asked), decide)
    except asyncpg.ForeignKeyViolationError:
        raise NotFound(f"There is no organization {organization_id}.") from None


async def _book(connection: Any, organization_id: UUID, key: str | None, asked: bytes, decide: Decide) -> Booked:
    account = (await lock_accounts(connection, [organization_id]))[organization_id]
    if key is not None:
        earlier = await find_earlier(connection, organization_id, key, asked)
        if earlier is not None:
            return Booked(earlier, replayed=True)
    movement = await decide(account)
    [posted] = await post(
        connection, [replace(movement, idempotency_key=key, fingerprint=None if key is None else asked)]
    )
    return Booked(await fetch_entry(connection, posted.id), replayed=False)


def valid_amount(micro: int) -> int:
    """The amount, if it can be moved at once: 1 micro-credit to 1,000,000,000 credits. Raises InvalidValue."""
    if not 0 < micro <= LARGEST_MICRO:
        raise InvalidValue(f"An amount is more than 0 and at most {credits_text(LARGEST_MICRO)} credits.")
    return micro


def valid_words(reason: str, actor: str, reference: str) -> tuple[str, str, str]:
    """What is said about a movement, without surrounding space; only the reason is needed. Raises InvalidValue."""
    return _printable(reason, "reason", least=1), _printable(actor, "actor"), _printable(reference, "reference")


def _printable(text: str, what: str, *, least: int = 0) -> str:
    stripped = text.strip()
    if not least <= len(stripped) <= LONGEST_TEXT or not stripped.isprintable():
        raise InvalidValue(f"The {what} has {least} to {LONGEST_TEXT} printable characters.")
    return stripped
