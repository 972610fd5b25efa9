"""A charge that an operator may give back: of one request, or of one asynchronous job, which either of its ids names."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from domain.async_jobs.ending import ENTRY_KEY
from domain.async_jobs.reading import fetch_anybodys_job
from domain.credits.entries import LedgerEntry
from domain.credits.ledger_reading import entry_behind, entry_under
from domain.faults import Conflict, NotFound
from domain.log_store.store import LogStore
from domain.organizations import OrganizationRecord, fetch_organization

# A job is named by its own id or by that of the request that was answered 202.
_JOB = "select id from async_job where id = $1 or request_id = $1"
_REFUNDED = "select created_at from credit_entry where organization_id = $1 and idempotency_key = $2"


@dataclass(frozen=True, slots=True)
class Charge:
    """What one request or job cost, and the usage entry that it is part of. `kind` is request or job; `words` say which,
    `answered` what came of it.
    """

    kind: str
    id: UUID
    words: str
    answered: str
    at: datetime
    amount_micro: int
    entry: LedgerEntry
    organization: OrganizationRecord

    @property
    def refund_key(self) -> str:
        """What the ledger writes once: whichever of its ids was named, it comes back once."""
        return f"refund-of-{self.kind}:{self.id}"


async def find_charge(connection: Any, charged_id: UUID, logs: LogStore) -> Charge:
    """The charge of a request or a job, if it was not given back yet. Raises NotFound, Conflict."""
    job_id = await connection.fetchval(_JOB, charged_id)
    charge = await (_of_request(connection, charged_id, logs) if job_id is None else _of_job(connection, job_id))
    back = await connection.fetchval(_REFUNDED, charge.organization.id, charge.refund_key)
    if back is not None:
        raise Conflict(f"The charge of this {charge.kind} was given back on {back:%d %b %Y, %H:%M} UTC.")
    return charge


async def _of_request(connection: Any, request_id: UUID, logs: LogStore) -> Charge:
    entry = await entry_behind(connection, request_id, logs)
    request = await logs.find(connection, entry.organization_id, request_id)
    if request is None:
        raise NotFound(f"The log row of the request {request_id} is not kept any more.")
    owner = await fetch_organization(connection, entry.organization_id)
    words, answered = f"{request.method} {request.path}", f"it was answered {request.status}"
    return Charge("request", request_id, words, answered, request.at, request.cost_micro, entry, owner)


async def _of_job(connection: Any, job_id: UUID) -> Charge:
    job = await fetch_anybodys_job(connection, job_id)
    entry = await entry_under(connection, job.organization_id, f"{ENTRY_KEY}{job_id}")
    if entry is None or job.ended_at is None:
        raise NotFound(f"No ledger entry for the job {job_id}: it is {job.status} and was charged nothing.")
    owner = await fetch_organization(connection, job.organization_id)
    words = f"the job {job.method} {job.target}"
    return Charge("job", job_id, words, "it was completed", job.ended_at, job.charged_micro, entry, owner)
