"""The one way in which credits move: accounts locked in the order of their ids, then a few statements for all of them.

Works inside the caller's transaction, for any number of organizations. Amounts are whole micro-credits.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID, uuid4

from domain.credits.burning import burn, burn_grants, make_grants
from domain.credits.movements import Movement, PostedEntry

_BALANCES = ("balance", "leased", "reserved", "purchases", "bonuses", "usage", "adjustments", "expiries")

_MAKE_ACCOUNTS = """
insert into credit_account (organization_id)
select o from unnest($1::uuid[]) as u (o)
 where not exists (select from credit_account where organization_id = o) order by o
on conflict on constraint uq_credit_account_organization_id do nothing
"""

_LOCK = """
select organization_id, balance_micro, leased_micro, reserved_micro from credit_account
 where organization_id = any($1::uuid[]) order by organization_id for no key update
"""

_FREE = """
select organization_id from credit_account where organization_id = any($1::uuid[]) for no key update skip locked
"""
_LOOK = "savepoint accounts_looked_at"
_FORGET = "rollback to savepoint accounts_looked_at; release savepoint accounts_looked_at"

_MOVE = f"""
update credit_account as a
   set {", ".join(f"{name}_micro = a.{name}_micro + d.{name}" for name in _BALANCES)}, entries = a.entries + d.entries
  from unnest($1::uuid[], {", ".join(f"${n}::bigint[]" for n in range(2, len(_BALANCES) + 3))})
       as d (organization_id, {", ".join(_BALANCES)}, entries)
 where a.organization_id = d.organization_id
returning a.organization_id, a.balance_micro - d.balance as balance, a.entries - d.entries as entries, now() as moment
"""

_COLUMNS = {
    "id": "uuid",
    "number": "bigint",
    "balance_after_micro": "bigint",
    "organization_id": "uuid",
    "type": "text",
    "debit": "text",
    "credit": "text",
    "amount_micro": "bigint",
    "refund_of": "uuid",
    "reason": "text",
    "actor": "text",
    "reference": "text",
    "idempotency_key": "text",
    "fingerprint": "bytea",
    "requests": "bigint",
    "stored_at": "timestamptz",
    "first_at": "timestamptz",
    "last_at": "timestamptz",
}
_OF_MOVEMENT = tuple(_COLUMNS)[3:]

_WRITE = f"""
insert into credit_entry (created_at, {", ".join(_COLUMNS)})
select now(), e.* from unnest({", ".join(f"${n}::{kind}[]" for n, kind in enumerate(_COLUMNS.values(), 1))}) as e
"""


@dataclass(frozen=True, slots=True)
class AccountRow:
    """One organization's account as it stands under the lock."""

    organization_id: UUID
    balance_micro: int
    leased_micro: int
    reserved_micro: int

    @property
    def available_micro(self) -> int:
        """What can be leased, reserved, refunded or taken now."""
        return self.balance_micro - self.leased_micro - self.reserved_micro


async def lock_accounts(connection: Any, organization_ids: Iterable[UUID]) -> dict[UUID, AccountRow]:
    """The accounts, made if they are missing, locked until the transaction ends.

    A transaction calls this once, for all that it will change: then callers never wait for each other in a circle. While it
    waits for one of several that somebody else has locked, it has none of the others: nobody waits for an account because
    of another one. Raises RuntimeError outside of a transaction, asyncpg.ForeignKeyViolationError for an unknown organization.
    """
    if not connection.is_in_transaction():
        raise RuntimeError("credits move inside a transaction only")
    wanted = list(set(organization_ids))
    await connection.execute(_MAKE_ACCOUNTS, wanted)
    if len(wanted) > 1:
        await _wait_for_each(connection, wanted)
    return {row["organization_id"]: AccountRow(*row) for row in await connection.fetch(_LOCK, wanted)}


async def _wait_for_each(connection: Any, wanted: list[UUID]) -> None:
    """Wait until each account was free for a moment, once, with no lock but on what is waited for."""
    waited: set[UUID] = set()
    while True:
        # In SQL, because some callers have begun their transaction so.
        await connection.execute(_LOOK)
        free = {row["organization_id"] for row in await connection.fetch(_FREE, wanted)}
        await connection.execute(_FORGET)
        busy = [each for each in wanted if each not in free and each not in waited]
        if not busy:
            return
        waited.add(busy[0])
        await connection.execute(_LOOK)
        await connection.fetch(_LOCK, busy[:1])
        await connection.execute(_FORGET)


async def post(connection: Any, movements: Sequence[Movement]) -> list[PostedEntry]:
    """Move credits of accounts that the caller has locked; the entries, in the order of the movements.

    The caller has seen that the accounts allow it: the database's CHECKs refuse the rest, with nothing left to use of the
    transaction (asyncpg.CheckViolationError). All that comes in by one call comes before anything of it burns.
    """
    if not movements:
        return []
    rows = await connection.fetch(_MOVE, *_changes(movements))
    posted = _numbered(movements, rows)
    written = [
        (entry.id, entry.number, entry.balance_after_micro, *(getattr(movement, name) for name in _OF_MOVEMENT))
        for movement, entry in zip(movements, posted, strict=True)
    ]
    await connection.execute(_WRITE, *map(list, zip(*written, strict=True)))
    pairs = list(zip(movements, posted, strict=True))
    await make_grants(
        connection,
        [(m.organization_id, e.id, m.amount_micro, m.priority, m.expires_at) for m, e in pairs if m.incoming],
    )
    leaving = [movement for movement in movements if not movement.incoming]
    await burn_grants(connection, [(m.grant_id, m.amount_micro) for m in leaving if m.grant_id is not None])
    await burn(connection, [(m.organization_id, m.amount_micro) for m in leaving if m.grant_id is None])
    return posted


def _changes(movements: Sequence[Movement]) -> list[list[Any]]:
    """The parameters of _MOVE: one element for each organization."""
    changes: dict[UUID, dict[str, int]] = {}
    for movement in movements:
        change = changes.setdefault(movement.organization_id, dict.fromkeys((*_BALANCES, "entries"), 0))
        change["balance"] += movement.signed_micro
        change["leased"] += movement.leased_micro
        change["reserved"] += movement.reserved_micro
        change[movement.other_account] += movement.other_micro
        change["entries"] += 1
    return [list(changes), *([change[name] for change in changes.values()] for name in (*_BALANCES, "entries"))]


def _numbered(movements: Sequence[Movement], rows: Sequence[Any]) -> list[PostedEntry]:
    """Number and balance run on from what they were before. Raises RuntimeError if an account is missing."""
    standing: dict[UUID, tuple[int, int]] = {row["organization_id"]: (row["balance"], row["entries"]) for row in rows}
    posted = []
    for movement in movements:
        if movement.organization_id not in standing:
            raise RuntimeError("lock the accounts before posting")
        balance, number = standing[movement.organization_id]
        after = standing[movement.organization_id] = (balance + movement.signed_micro, number + 1)
        moment: datetime = rows[0]["moment"]
        posted.append(
            PostedEntry(uuid4(), movement.organization_id, movement.type, movement.amount_micro, *after, moment)
        )
    return posted
