"""The end of a job, once: what was held for it is spent if it was completed, and free again in every other case.

One transaction ends the job, moves the credits and tells the webhooks. The job's row is locked first, then the account;
whoever comes second finds it ended. A charge has the job's own key in the ledger, which takes it no second time.
"""

from collections.abc import Awaitable, Callable
from datetime import datetime
from typing import Any, NamedTuple
from uuid import UUID

import asyncpg

from domain.credits.idempotency import fingerprint
from domain.credits.leasing import unhold
from domain.credits.movements import Movement
from domain.credits.posting import lock_accounts, post
from domain.webhooks.announcing import job_ended
from schema.async_jobs import JobFailure, JobStatus
from schema.credits import EntryType

ENTRY_KEY = "job:"
"""A charge's idempotency key in the ledger is this and the job's id."""
LONGEST_ERROR = 1_000
LONGEST_MESSAGE = 500
LATE = "It was not completed within the time that this operation has."
UNTAKEN = "The service did not take it within the time that this operation has."
TOO_LATE = "The gateway had answered 503 before this was stored."
CLOSED = "The organization was closed."

_LOCK = """
select j.id, j.organization_id, j.request_id, j.status, j.reason, j.error, j.progress, j.message, j.price_micro, j.charged_micro,
       j.created_at, j.ended_at, j.deadline, j.attempts, j.working, j.deadline <= now() as late, now() as now,
       coalesce(s.slug, '') as service, coalesce(o.name, '') as operation
  from async_job j left join service s on s.id = j.service_id left join operation o on o.id = j.operation_id
 where j.id = $1 for no key update of j
"""
_END = """
update async_job set status = $2, reason = $3, error = $4, message = coalesce($5, message), result_type = $6, result = $7,
       charged_micro = $8, progress = case when $2 = 'completed' then 100 else progress end, ended_at = now(),
       fields = null, body = null, due_at = null, working = false
 where id = $1 and ended_at is null
"""
_OVERDUE = """
select id, organization_id from async_job
 where ended_at is null and deadline <= $1 and organization_id <> all($3::uuid[]) order by deadline limit $2
"""
_OF_CLOSED = """
select j.id, j.organization_id from async_job j join organization o on o.id = j.organization_id
 where j.ended_at is null and o.state = 'closed' and o.id <> all($2::uuid[]) limit $1
"""
_BRIEFLY = "set local lock_timeout = '200ms'"
_OPEN_OF = """
select id, price_micro from async_job where organization_id = $1 and ended_at is null order by id for no key update
"""
_CANCEL_ALL = """
update async_job set status = 'failed', reason = 'cancelled', error = $2, ended_at = now(), fields = null, body = null,
       due_at = null, working = false
 where id = any($1::uuid[]) and ended_at is null
"""


_FORGET_KEPT = "delete from idempotent_request where id = $1"


class Ending(NamedTuple):
    """How a job ends: completed with a result (None: it has none), or failed for a reason, with what is said of it."""

    status: JobStatus
    reason: str = ""
    error: str = ""
    message: str | None = None
    result_type: str = ""
    result: bytes | None = None


class Standing(NamedTuple):
    """How a job stands now. `changed`: by this call."""

    id: UUID
    status: str
    reason: str
    progress: int
    changed: bool

    @property
    def is_open(self) -> bool:
        """Whether it has not ended."""
        return self.status in {JobStatus.PENDING, JobStatus.PROCESSING}


Choose = Callable[[Any], Ending | None]
"""How an open job ends, given its row under the lock; None: it goes on."""


def completed(result: bytes | None, result_type: str, message: str | None = None) -> Ending:
    """It is done."""
    return Ending(JobStatus.COMPLETED, message=message, result_type=_kept_type(result_type), result=result)


def failed(reason: JobFailure, error: str, message: str | None = None) -> Ending:
    """It will not be done; the texts are cut to what a row holds."""
    return Ending(JobStatus.FAILED, reason.value, said(error, LONGEST_ERROR), message)


async def end(connection: Any, job_id: UUID, choose: Choose) -> Standing | None:
    """End an open job as `choose` says, in a transaction; one that is past its deadline is overdue, whatever it says.

    One that has ended stays as it is. None: there is no such job.
    """
    async with connection.transaction():
        row = await connection.fetchrow(_LOCK, job_id)
        if row is None:
            return None
        ending = None
        if row["ended_at"] is None:
            ending = _overdue(row) if row["late"] else choose(row)
        if ending is None:
            return Standing(row["id"], row["status"], row["reason"], row["progress"], changed=False)
        charged = await _settle(connection, row, ending)
        await connection.execute(
            _END, job_id, ending.status.value, ending.reason, ending.error, ending.message, ending.result_type,
            ending.result, charged,
        )  # fmt: skip
        if ending.reason != JobFailure.WITHDRAWN:
            await job_ended(connection, row, ending.status.value, ending.reason, ending.error, charged)
    progress = 100 if ending.status is JobStatus.COMPLETED else row["progress"]
    return Standing(row["id"], ending.status.value, ending.reason, progress, changed=True)


async def end_overdue(connection: Any, now: datetime, *, most: int = 200) -> int:
    """End all that is past its deadline, one by one; how many. Jobs of an organization whose account somebody has locked
    are left for the next time.
    """
    return await _end_each(connection, lambda busy: connection.fetch(_OVERDUE, now, most, busy), _overdue)


async def end_of_closed(connection: Any, *, most: int = 200) -> int:
    """The same for jobs of organizations that were closed by other means than `domain.closing`; how many."""
    closed = failed(JobFailure.CANCELLED, CLOSED)
    return await _end_each(connection, lambda busy: connection.fetch(_OF_CLOSED, most, busy), lambda _: closed)


async def withdraw(connection: Any, organization_id: UUID, job_id: UUID, request_id: UUID) -> bool:
    """End a job of which nobody was told, unless it was sent, and forget what repeats of its request would be told.

    Its worker has lost the connection that it was being stored on: a commit that the server has begun is waited for.
    """
    async with connection.transaction():
        # Whoever stores a job holds the account until that is committed; before, the job is nowhere to be seen.
        await lock_accounts(connection, [organization_id])
    async with connection.transaction():
        standing = await end(connection, job_id, _unsent)
        if standing is not None and standing.changed:
            await connection.execute(_FORGET_KEPT, request_id)
            return True
    return False


async def cancel_all(connection: Any, organization_id: UUID) -> None:
    """In the caller's transaction, which closes the organization: its open jobs fail, what was held for them is free."""
    rows = await connection.fetch(_OPEN_OF, organization_id)
    if not rows:
        return
    await lock_accounts(connection, [organization_id])
    await unhold(connection, {organization_id: (0, sum(row["price_micro"] for row in rows))})
    await connection.execute(_CANCEL_ALL, [row["id"] for row in rows], CLOSED)


def said(text: str, longest: int) -> str:
    """What somebody says, in one line of at most so many characters, as a row can hold it."""
    # JSON has halves of pairs ("\\ud800"), UTF-8 has not.
    whole = text.encode("utf-8", "replace").decode()
    return " ".join(whole.replace("\x00", " ").split())[:longest]


def _kept_type(given: str) -> str:
    """A Content-Type that a field can hold when it is given back; of one that is not ASCII what stands before its parameters."""
    for kind in (given[:255], given.partition(";")[0].strip()[:255]):
        if kind.isascii() and kind.isprintable():
            return kind
    return ""


def _unsent(row: Any) -> Ending | None:
    return None if row["attempts"] else failed(JobFailure.WITHDRAWN, TOO_LATE)


def _overdue(row: Any) -> Ending:
    return failed(JobFailure.OVERDUE, LATE if row["status"] == JobStatus.PROCESSING else UNTAKEN)


async def _end_each(connection: Any, look: Callable[[list[UUID]], Awaitable[list[Any]]], choose: Choose) -> int:
    """End what `look` finds, until it finds nothing; it is told whose jobs it has to leave out."""
    ended, busy = 0, set[UUID]()
    while rows := await look(list(busy)):
        for row in rows:
            if row["organization_id"] in busy:
                continue
            try:
                async with connection.transaction():
                    await connection.execute(_BRIEFLY)
                    standing = await end(connection, row["id"], choose)
            except asyncpg.LockNotAvailableError:
                busy.add(row["organization_id"])
            else:
                ended += standing is not None and standing.changed
    return ended


async def _settle(connection: Any, row: Any, ending: Ending) -> int:
    """What is charged: the whole price, or nothing."""
    price, owner = row["price_micro"], row["organization_id"]
    if not price:
        return 0
    await lock_accounts(connection, [owner])
    if ending.status is not JobStatus.COMPLETED:
        await unhold(connection, {owner: (0, price)})
        return 0
    job = str(row["id"])
    await post(
        connection,
        [
            Movement(
                organization_id=owner, type=EntryType.USAGE, amount_micro=price, incoming=False, reserved_micro=-price,
                reason=said(f"Job: {row['service']} {row['operation']}", 500), reference=job,
                idempotency_key=ENTRY_KEY + job, fingerprint=fingerprint({"what": "job", "id": job, "micro": price}),
                requests=1, stored_at=row["now"], first_at=row["now"], last_at=row["now"],
            )
        ],
    )  # fmt: skip
    return int(price)
