"""What a batch of records costs, posted in the transaction that stores them (G3): one usage entry for each organization.

The credits come out of the lease of the journal's worker, or out of the request's reservation. With the end of a
journal its worker's holdings end, and its claims of idempotency keys. A batch without a cost, a reservation or a journal's end costs one look at its bytes.
"""

import logging
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

from domain.credits import leasing, reservations
from domain.credits.movements import Movement
from domain.credits.posting import AccountRow, lock_accounts, post
from domain.ingesting.batches import Batch, at_us, cost_micro
from domain.ingesting.positions import CLOSED
from domain.replays import close_running
from schema.credits import EntryType

log = logging.getLogger(__name__)

_ID, _ORGANIZATION = slice(0, 16), slice(16, 32)

_ORGANIZATIONS = "select id from organization where id = any($1::uuid[])"
_SPEND = """
with due as (
  select l.id, l.organization_id, least(s.cost, l.amount_micro - l.spent_micro - l.returned_micro) as covered
    from unnest($1::uuid[], $2::uuid[], $3::bigint[]) as s (holder_id, organization_id, cost)
    join credit_lease l on l.holder_id = s.holder_id and l.organization_id = s.organization_id
), spent as (
  update credit_lease l set spent_micro = l.spent_micro + due.covered from due where l.id = due.id
)
select organization_id, sum(covered)::bigint as covered from due group by organization_id
"""


@dataclass(slots=True)
class _Bill:
    """One organization's part of a batch: what its requests cost, and what is no longer leased or reserved for them.

    `covered` of the cost came out of leases and reservations.
    """

    cost: int = 0
    covered: int = 0
    requests: int = 0
    first_us: int = 0
    last_us: int = 0
    leased: int = 0
    reserved: int = 0
    by_journal: dict[UUID, int] = field(default_factory=dict)

    def add(self, journal_id: UUID, cost: int, ended_us: int) -> None:
        self.first_us = min(self.first_us or ended_us, ended_us)
        self.last_us = max(self.last_us, ended_us)
        self.cost += cost
        self.requests += 1
        self.by_journal[journal_id] = self.by_journal.get(journal_id, 0) + cost


async def charge(connection: Any, batch: Batch, stored_at: datetime | None) -> None:
    """Post what the batch costs, and end what its ended journals held. Raises what asyncpg raises."""
    bills = _bills(batch)
    journals = [move.journal_id for move in batch.moves]
    over = sorted(move.journal_id for move in batch.moves if move.reached == CLOSED)
    held = await reservations.held_by(connection, journals)
    if not (bills or held or over):
        return
    if over:
        await leasing.close_holders(connection, over)
        await close_running(connection, over)
        held |= await reservations.held_by(connection, over)
    await _leave_out_strangers(connection, bills)
    owners = {*bills, *held.values(), *(await leasing.organizations_of(connection, over) if over else ())}
    if not owners:
        return
    accounts = await lock_accounts(connection, owners)
    bills |= {owner: _Bill() for owner in owners - bills.keys()}
    if held:
        await _settle_reservations(connection, batch, held, bills)
    await _spend_leases(connection, bills)
    if over:
        for owner, amount in (await leasing.give_back(connection, over)).items():
            bills[owner].leased += amount
        for owner, amount in (await reservations.release(connection, over)).items():
            bills[owner].reserved += amount
    await _post(connection, bills, accounts, stored_at)


def _bills(batch: Batch) -> dict[UUID, _Bill]:
    bills: dict[bytes, _Bill] = {}
    for record, place in zip(batch.records, batch.places, strict=True):
        cost = cost_micro(record)
        if cost > 0:
            owner = record[_ORGANIZATION]
            bill = bills.get(owner)
            if bill is None:
                bill = bills[owner] = _Bill()
            bill.add(place.journal_id, cost, at_us(record))
    return {UUID(bytes=owner): bill for owner, bill in bills.items()}


async def _leave_out_strangers(connection: Any, bills: dict[UUID, _Bill]) -> None:
    """A record may name an organization that is none: it is stored, and nobody pays."""
    if not bills:
        return
    known = {row["id"] for row in await connection.fetch(_ORGANIZATIONS, list(bills))}
    for owner in bills.keys() - known:
        log.error("%d MICRO-CREDITS OF %s ARE WRITTEN OFF: there is no such organization", bills.pop(owner).cost, owner)


async def _settle_reservations(connection: Any, batch: Batch, held: dict[UUID, UUID], bills: dict[UUID, _Bill]) -> None:
    """Requests with a reservation are paid out of it, those that cost nothing release theirs."""
    wanted = {request_id.bytes: request_id for request_id in held}
    found: dict[UUID, tuple[int, UUID]] = {}
    for record, place in zip(batch.records, batch.places, strict=True):
        request_id = wanted.get(record[_ID])
        if request_id is not None:
            found[request_id] = max(0, cost_micro(record)), place.journal_id
    for row in await reservations.settle(connection, [(each, cost) for each, (cost, _) in found.items()]):
        bill = bills[row["organization_id"]]
        _, journal_id = found[row["id"]]
        bill.reserved += row["amount_micro"]
        bill.covered += row["settled_micro"]
        if row["settled_micro"]:
            bill.by_journal[journal_id] = bill.by_journal.get(journal_id, 0) - row["settled_micro"]


async def _spend_leases(connection: Any, bills: dict[UUID, _Bill]) -> None:
    due = [
        (journal_id, owner, cost)
        for owner, bill in bills.items()
        for journal_id, cost in bill.by_journal.items()
        if cost > 0
    ]
    if not due:
        return
    for row in await connection.fetch(_SPEND, *map(list, zip(*due, strict=True))):
        bill = bills[row["organization_id"]]
        bill.covered += row["covered"]
        bill.leased += row["covered"]


async def _post(
    connection: Any, bills: dict[UUID, _Bill], accounts: dict[UUID, AccountRow], stored_at: datetime | None
) -> None:
    movements: list[Movement] = []
    only_freed: dict[UUID, tuple[int, int]] = {}
    for owner, bill in bills.items():
        account = accounts[owner]
        free = account.available_micro + bill.leased + bill.reserved - bill.covered
        missing = bill.cost - bill.covered
        amount = bill.covered + min(missing, max(0, free))
        if amount < bill.cost:
            log.error(
                "%d of %d MICRO-CREDITS OF %s ARE WRITTEN OFF: no lease holds them, and none are available",
                *(bill.cost - amount, bill.cost, owner),
            )
        if amount:
            movements.append(
                Movement(
                    organization_id=owner, type=EntryType.USAGE, amount_micro=amount, incoming=False,
                    leased_micro=-bill.leased, reserved_micro=-bill.reserved, requests=bill.requests, stored_at=stored_at,
                    first_at=_moment(bill.first_us), last_at=_moment(bill.last_us),
                )
            )  # fmt: skip
        elif bill.leased or bill.reserved:
            only_freed[owner] = bill.leased, bill.reserved
    await leasing.unhold(connection, only_freed)
    await post(connection, movements)


def _moment(us: int) -> datetime:
    return datetime.fromtimestamp(us / 1e6, UTC)
