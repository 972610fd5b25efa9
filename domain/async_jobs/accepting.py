"""A job comes into being: its price is held and its request is stored, in one transaction, before anybody is told of it.

What is held is part of `credit_account.reserved_micro` for as long as the job is open: it belongs to no worker, so no
worker's end frees it (decision 53). Locks: the organization, then the account.
"""

from datetime import timedelta
from typing import Any, NamedTuple
from uuid import UUID

from domain.credits.expiring import expire_due
from domain.credits.leasing import notify
from domain.credits.posting import lock_accounts
from domain.credits.reservations import Held
from domain.open_organizations import open_state
from domain.refusals import CannotDecide, OrganizationSuspended, TooManyJobs
from domain.replays import Outcome, finish

MOST_OPEN = 1_000
"""Jobs of one organization that may be open at once: each of them keeps a body in the database."""

_OPEN = """
select count(*) from (select from async_job where organization_id = $1 and ended_at is null limit $2) as open
"""
_HOLD = "update credit_account set reserved_micro = reserved_micro + $2 where organization_id = $1"
_STORE = """
insert into async_job (id, organization_id, key_id, service_id, operation_id, request_id, price_micro, method, target,
                       fields, body, created_at, due_at, deadline)
values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, now(), now(), now() + $12::interval)
"""


class Wanted(NamedTuple):
    """A job to be. `price_micro` is what it costs if it is completed; `fields` are sealed; `seconds` is its longest life."""

    id: UUID
    organization_id: UUID
    key_id: UUID
    service_id: UUID
    operation_id: UUID
    request_id: UUID
    price_micro: int
    method: str
    target: str
    fields: bytes
    body: bytes
    seconds: float


class Kept(NamedTuple):
    """What repeats of the request under its Idempotency-Key are answered with, for so many hours."""

    outcome: Outcome
    hours: int


async def accept(connection: Any, wanted: Wanted, kept: Kept | None, *, recall: bool) -> Held:
    """Hold the price and store the job, or neither: then `done` is False. With `recall` others are asked for what they lease.

    Under an Idempotency-Key the outcome is kept in the same transaction: from then on repeats name this job. Raises
    OrganizationSuspended, also where it was closed a moment ago; TooManyJobs; CannotDecide where the claim of the key has ended meanwhile, because a repeat may have one by now.
    """
    owner = [wanted.organization_id]
    async with connection.transaction():
        if await open_state(connection, wanted.organization_id) != "active":
            raise OrganizationSuspended
        account = (await lock_accounts(connection, owner))[wanted.organization_id]
        available = account.available_micro - sum(entry.amount_micro for entry in await expire_due(connection, owner))
        if available < wanted.price_micro:
            if recall and account.leased_micro > 0:
                # In the name of nobody: this worker's own wallet gives back too.
                await notify(connection, UUID(int=0), owner)
            return Held(done=False, available=available, elsewhere=account.leased_micro)
        if await connection.fetchval(_OPEN, wanted.organization_id, MOST_OPEN) >= MOST_OPEN:
            raise TooManyJobs(retry_after_seconds=10, max_open=MOST_OPEN)
        if wanted.price_micro:
            await connection.execute(_HOLD, wanted.organization_id, wanted.price_micro)
        await connection.execute(_STORE, *wanted[:11], timedelta(seconds=wanted.seconds))
        if kept is not None and not await finish(connection, wanted.request_id, kept.outcome, kept.hours):
            raise CannotDecide(
                "The gateway took too long to take on this job. You were not charged.",
                internal="the claim of the Idempotency-Key has ended",
                retry_after_seconds=1,
            )
    return Held(done=True, available=available - wanted.price_micro, elsewhere=account.leased_micro)
