"""What operators do about asynchronous operations: jobs ended or sent now, secrets shown and changed, bounds set; with its trace.

All of it belongs into the caller's transaction: the change and its trace happen together or not at all.
"""

from datetime import timedelta
from typing import Any

from domain import audit
from domain.async_jobs.callback_secrets import CallbackSecret, rotate_secret, show_secret
from domain.async_jobs.ending import Standing, end, failed
from domain.async_jobs.reading import JobRecord
from domain.audit import Thing, Verb
from domain.faults import Conflict
from domain.operations import OperationRecord, change
from domain.portal_settings import SecretSettings
from domain.services import ServiceRecord, update
from schema.async_jobs import JobFailure

_OVER = "This job has ended already."
_SEND = "update async_job set due_at = now() where id = $1 and status = 'pending' and due_at > now() returning id"


async def cancel(connection: Any, actor: audit.Actor, job: JobRecord, *, said: str, reason: str) -> Standing:
    """End an open job as cancelled: what is held for it is free, its customer reads `said`. Raises Conflict.

    One that is past its deadline ends as overdue.
    """
    ending = failed(JobFailure.CANCELLED, said)
    standing = await end(connection, job.id, lambda _: ending)
    if standing is None or not standing.changed:
        raise Conflict(_OVER)
    after = {"status": standing.status, "reason": standing.reason, "said": said}
    await _trace(connection, actor, Verb.ASYNC_JOB_CANCEL, job, {"status": job.status}, after, reason)
    return standing


async def send_now(connection: Any, actor: audit.Actor, job: JobRecord, *, reason: str) -> None:
    """Let a job that waits for its next attempt be sent at once. Raises Conflict."""
    require_waiting(job)
    if await connection.fetchval(_SEND, job.id) is None:
        raise Conflict("This job is being sent already, or was taken meanwhile.")
    before = {"due_at": job.due_at, "attempts": job.attempts}
    await _trace(connection, actor, Verb.ASYNC_JOB_SEND, job, before, {"due_at": "now"}, reason)


def require_waiting(job: JobRecord) -> None:
    """Raise Conflict unless the job waits to be sent."""
    if not job.open:
        raise Conflict(_OVER)
    if job.due_at is None:
        raise Conflict("The service has taken this job and reports by itself: there is nothing to send.")


async def look_at_secret(
    connection: Any, secrets: SecretSettings, actor: audit.Actor, service: ServiceRecord, *, reason: str
) -> CallbackSecret:
    """The secret that the service signs its callbacks with; made now if it has none. Raises Unreadable."""
    found = await show_secret(connection, secrets, service.slug)
    thing = Thing("service", service.slug, service.slug)
    await audit.record(connection, actor, Verb.SERVICE_SHOW_CALLBACK_SECRET, thing, reason=reason)
    return found


async def change_secret(
    connection: Any,
    secrets: SecretSettings,
    actor: audit.Actor,
    service: ServiceRecord,
    overlap: timedelta,
    *,
    reason: str,
) -> CallbackSecret:
    """A new secret for the service's callbacks; the one before is good for `overlap`. Raises InvalidValue."""
    made = await rotate_secret(connection, secrets, service.slug, overlap)
    thing, after = Thing("service", service.slug, service.slug), {"both_good_until": made.old_until}
    await audit.record(connection, actor, Verb.SERVICE_ROTATE_CALLBACK_SECRET, thing, after=after, reason=reason)
    return made


async def bound_jobs(
    connection: Any, actor: audit.Actor, service: ServiceRecord, *, concurrency: int, seconds: int, reason: str
) -> None:
    """So many jobs of a service at work at once (0: any number), each for so long at the most. Raises InvalidValue, Conflict."""
    before = {"job_concurrency": service.job_concurrency, "job_timeout_seconds": service.job_timeout_seconds}
    after = {"job_concurrency": concurrency, "job_timeout_seconds": seconds}
    if before == after:
        raise Conflict(f"The service {service.slug} has these bounds already.")
    await update(connection, service.slug, prefix=None, upstreams=None, **after)
    thing = Thing("service", service.slug, service.slug)
    await audit.record(connection, actor, Verb.SERVICE_BOUND_JOBS, thing, before=before, after=after, reason=reason)


async def make_asynchronous(
    connection: Any, actor: audit.Actor, operation: OperationRecord, *, asynchronous: bool, reason: str
) -> None:
    """Let an operation be answered 202 with a job, or as others are. Raises Conflict if it is so already; InvalidValue."""
    name = f"{operation.service_slug} {operation.method} {operation.path_pattern}"
    if operation.asynchronous is asynchronous:
        raise Conflict(f"The operation {name} is {'' if asynchronous else 'not '}asynchronous already.")
    await change(connection, operation.id, asynchronous=asynchronous)
    verb = Verb.OPERATION_MAKE_ASYNCHRONOUS if asynchronous else Verb.OPERATION_MAKE_SYNCHRONOUS
    before, after = {"asynchronous": not asynchronous}, {"asynchronous": asynchronous}
    thing = Thing("operation", str(operation.id), name)
    await audit.record(connection, actor, verb, thing, before=before, after=after, reason=reason)


async def _trace(
    connection: Any,
    actor: audit.Actor,
    verb: Verb,
    job: JobRecord,
    before: dict[str, Any],
    after: dict[str, Any],
    reason: str,
) -> None:
    thing = Thing("async_job", str(job.id), f"{job.service}: {job.operation}")
    await audit.record(
        connection, actor, verb, thing, organization_id=job.organization_id, before=before, after=after, reason=reason
    )
