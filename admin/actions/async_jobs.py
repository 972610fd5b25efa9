"""Actions on asynchronous operations: a job ended or sent now, a service's callback secret, what is asynchronous."""

from datetime import timedelta
from functools import partial
from typing import Annotated
from uuid import UUID

from pydantic import Field as Constraint

from admin.actions.action import Action, Field, Outcome, Preview, Values
from admin.actions.switching import OPERATION, SERVICE, OneOperation, OneService, find_operation
from admin.actions.wording import Links, counted, credits_, utc
from admin.web.visit import Visit
from domain.async_jobs.callback_secrets import LONGEST_OVERLAP
from domain.async_jobs.ending import LONGEST_ERROR
from domain.async_jobs.reading import JobRecord, fetch_anybodys_job
from domain.faults import Conflict
from domain.operating import async_jobs
from domain.operators import Right
from domain.services import fetch_service

_OPEN_JOBS = """
select count(*) filter (where working) as working, count(*) filter (where not working) as waiting from async_job
 where service_id = $1 and ended_at is null
"""
_MOST_HOURS = int(LONGEST_OVERLAP.total_seconds()) // 3_600


class OneJob(Values):
    """Which job."""

    job: UUID


class CancelledJob(OneJob):
    """Which job, and what its customer reads."""

    said: Annotated[str, Constraint(min_length=3, max_length=LONGEST_ERROR)]


class Rotation(OneService):
    """Of which service, and how long the secret before is good."""

    overlap_hours: Annotated[int, Constraint(ge=0, le=_MOST_HOURS)] = 24


class Bounds(OneService):
    """Of which service, and what."""

    concurrency: Annotated[int, Constraint(ge=0, le=100_000)]
    seconds: Annotated[int, Constraint(ge=1, le=604_800)]


async def _preview_cancelling(visit: Visit, values: CancelledJob) -> Preview:
    job = await fetch_anybodys_job(visit.connection, values.job)
    if not job.open:
        raise Conflict(f"This job is {job.status} since {utc(job.ended_at)}.")
    warnings = ("The service may be at work on it, and is not told: what it reports later is refused.",)
    return Preview(
        (
            f"The job {_named(job)} of {job.organization} ends as failed. The customer reads: {values.said}",
            "Their webhooks hear of it, and nothing is charged.",
        ),
        (("Status", job.status, "failed"), ("Credits held for it", credits_(job.held_micro), "0")),
        warnings if job.working else (),
        (f"It is {job.progress} % done, as the service says.",) if job.progress else (),
    )


async def _cancel(visit: Visit, values: CancelledJob, reason: str) -> Outcome:
    job = await fetch_anybodys_job(visit.connection, values.job)
    standing = await async_jobs.cancel(visit.connection, visit.actor, job, said=values.said, reason=reason)
    how = "is cancelled" if standing.reason == "cancelled" else "was overdue meanwhile, and has ended so"
    return Outcome(f"The job {how}; {credits_(job.price_micro)} credits are free again.", _links(job))


async def _preview_sending(visit: Visit, values: OneJob) -> Preview:
    job = await fetch_anybodys_job(visit.connection, values.job)
    async_jobs.require_waiting(job)
    warnings = ("The service may be at work on it already: then it gets it twice, under the same X-PE-Job-Id.",)
    met = f" The last one met: {job.last_error}" if job.last_error else ""
    return Preview(
        (f"The job {_named(job)} of {job.organization} was sent {counted(job.attempts, 'time')}.{met}",),
        (("It is sent next", utc(job.due_at), "at once"),),
        warnings if job.working else (),
    )


async def _send(visit: Visit, values: OneJob, reason: str) -> Outcome:
    job = await fetch_anybodys_job(visit.connection, values.job)
    await async_jobs.send_now(visit.connection, visit.actor, job, reason=reason)
    return Outcome("The job is sent as soon as its service has a place for it.", _links(job))


async def _preview_secret(visit: Visit, values: OneService) -> Preview:
    service = await fetch_service(visit.connection, values.service)
    has = await visit.connection.fetchval("select callback_secret is not null from service where id = $1", service.id)
    made = () if has else ("It has none yet: one is made, and stays until it is rotated.",)
    return Preview(
        (
            f"You see the secret that {service.name} signs its callbacks with, on the next page.",
            "Whoever has it can end this service's jobs, and have them charged. Hand it over on a safe way.",
            *made,
        ),
    )


async def _show_secret(visit: Visit, values: OneService, reason: str) -> Outcome:
    service = await fetch_service(visit.connection, values.service)
    secrets = visit.settings.secrets
    found = await async_jobs.look_at_secret(visit.connection, secrets, visit.actor, service, reason=reason)
    also = f" The one before is good until {utc(found.old_until)}." if found.old_until else ""
    return Outcome(f"This is the callback secret of {service.name}.{also}", shown_once=(("The secret", found.secret),))


async def _preview_rotating(visit: Visit, values: Rotation) -> Preview:
    service = await fetch_service(visit.connection, values.service)
    row = await visit.connection.fetchrow(_OPEN_JOBS, service.id)
    long = f"{counted(values.overlap_hours, 'hour')} from now" if values.overlap_hours else "at once"
    warnings = ("Until the service has the new one, its callbacks are refused, and its jobs end overdue.",)
    return Preview(
        (
            f"{service.name} gets a new secret for its callbacks. You see it on the next page.",
            "An older one than the present ends at once.",
        ),
        (("The present secret ends", "never", long),),
        () if values.overlap_hours else warnings,
        (f"{counted(row['working'] + row['waiting'], 'job')} of this service are open.",),
    )


async def _rotate(visit: Visit, values: Rotation, reason: str) -> Outcome:
    service = await fetch_service(visit.connection, values.service)
    overlap = timedelta(hours=values.overlap_hours)
    made = await async_jobs.change_secret(
        visit.connection, visit.settings.secrets, visit.actor, service, overlap, reason=reason
    )
    return Outcome(f"{service.name} has a new callback secret.", shown_once=(("The new secret", made.secret),))


async def _preview_bounds(visit: Visit, values: Bounds) -> Preview:
    service = await fetch_service(visit.connection, values.service)
    now, then = (service.job_concurrency, service.job_timeout_seconds), (values.concurrency, values.seconds)
    if now == then:
        raise Conflict(f"The service {service.slug} has these bounds already.")
    row = await visit.connection.fetchrow(_OPEN_JOBS, service.id)
    return Preview(
        (
            f"Of {service.name} so many jobs are at work at once; others wait.",
            "How long a job may take holds for those that are accepted from now on; who is at work stays so.",
        ),
        (
            ("Jobs at work at once", _places(now[0]), _places(then[0])),
            ("Longest life of a job", f"{now[1]:,} s", f"{then[1]:,} s"),
        ),
        notes=(f"{row['working']:,} are at work now, {row['waiting']:,} wait.",),
    )


async def _bound(visit: Visit, values: Bounds, reason: str) -> Outcome:
    service = await fetch_service(visit.connection, values.service)
    await async_jobs.bound_jobs(
        visit.connection,
        visit.actor,
        service,
        concurrency=values.concurrency,
        seconds=values.seconds,
        reason=reason,
    )
    return Outcome(
        f"The jobs of {service.name} are bounded so.", (("Its jobs", f"/async-jobs?service={service.slug}"),)
    )


async def _preview_declaring(visit: Visit, values: OneOperation, *, asynchronous: bool) -> Preview:
    operation = await find_operation(visit, values)
    if operation.asynchronous is asynchronous:
        raise Conflict(f"The operation {operation.name} is {'' if asynchronous else 'not '}asynchronous already.")
    service = await fetch_service(visit.connection, operation.service_slug)
    row = await visit.connection.fetchrow(_OPEN_JOBS, service.id)
    path = f"{operation.method} {service.route_prefix}{operation.path_pattern}"
    later = (
        f"Requests to {path} are answered 202 with a job within a second; the service gets them with a callback's address.",
        "Callers have to ask for the job: tell them before.",
        f"A job holds its price, and has {counted(service.job_timeout_seconds, 'second')} to be completed.",
    )
    at_once = (
        f"Requests to {path} wait for the service's answer within a second.",
        "Jobs that are open go on to their end.",
    )
    return Preview(
        later if asynchronous else at_once,
        ((f"Operation {operation.name}", _word(asynchronous=not asynchronous), _word(asynchronous=asynchronous)),),
        notes=() if asynchronous else (f"{counted(row['working'] + row['waiting'], 'job')} of this service are open.",),
    )


async def _declare(visit: Visit, values: OneOperation, reason: str, *, asynchronous: bool) -> Outcome:
    operation = await find_operation(visit, values)
    await async_jobs.make_asynchronous(
        visit.connection, visit.actor, operation, asynchronous=asynchronous, reason=reason
    )
    word = "synchronous" if asynchronous else "asynchronous"
    back = (f"Make it {word} again", f"/actions/make-{word}?operation={operation.id}")
    secret = ("Its service's callback secret", f"/actions/show-callback-secret?service={operation.service_slug}")
    links = (secret, back) if asynchronous else (back,)
    return Outcome(f"The operation {operation.name} is {'' if asynchronous else 'not '}asynchronous.", links)


def _named(job: JobRecord) -> str:
    return f"{job.service or 'a deleted service'}: {job.operation or 'a deleted operation'}"


def _word(*, asynchronous: bool) -> str:
    return "asynchronous" if asynchronous else "synchronous"


def _places(count: int) -> str:
    return f"{count:,}" if count else "any number"


def _links(job: JobRecord) -> Links:
    return (("To the job", f"/async-jobs/{job.id}"), (f"To {job.organization}", f"/organizations/{job.organization}"))


_JOB = Field("job", "Job's id", maxlength=36)

ACTIONS = (
    Action(
        slug="cancel-async-job",
        title="Cancel an asynchronous job",
        group="Customers",
        right=Right.SUPPORT,
        summary="A job that is open ends as failed, and what is held for it is free again.",
        model=CancelledJob,
        fields=(
            _JOB,
            Field("said", "What the customer reads", hint="At the job, and in their webhook.", maxlength=500),
        ),
        preview=_preview_cancelling,
        carry_out=_cancel,
        button="Cancel the job",
        danger=True,
    ),
    Action(
        slug="send-async-job",
        title="Send an asynchronous job now",
        group="Customers",
        right=Right.SUPPORT,
        summary="A job that waits for its next attempt goes to its service at once.",
        model=OneJob,
        fields=(_JOB,),
        preview=_preview_sending,
        carry_out=_send,
        button="Send it",
    ),
    Action(
        slug="make-asynchronous",
        title="Make an operation asynchronous",
        group="Services and plans",
        right=Right.CATALOG,
        summary="Requests to an operation are answered 202 with a job, which its service does in its own time.",
        model=OneOperation,
        fields=(OPERATION,),
        preview=partial(_preview_declaring, asynchronous=True),
        carry_out=partial(_declare, asynchronous=True),
        button="Make it asynchronous",
    ),
    Action(
        slug="make-synchronous",
        title="Make an operation synchronous",
        group="Services and plans",
        right=Right.CATALOG,
        summary="Requests to an operation that was asynchronous wait for their answer again.",
        model=OneOperation,
        fields=(OPERATION,),
        preview=partial(_preview_declaring, asynchronous=False),
        carry_out=partial(_declare, asynchronous=False),
        button="Make it synchronous",
    ),
    Action(
        slug="bound-jobs",
        title="Bound the jobs of a service",
        group="Services and plans",
        right=Right.CATALOG,
        summary="How many jobs of a service are at work at once, and how long one may take.",
        model=Bounds,
        fields=(
            SERVICE,
            Field("concurrency", "Jobs at work at once", "number", value="0", hint="0: any number."),
            Field("seconds", "Longest life of a job in seconds", "number", value="3600", hint="At most seven days."),
        ),
        preview=_preview_bounds,
        carry_out=_bound,
        button="Bound them",
    ),
    Action(
        slug="show-callback-secret",
        title="Show a service's callback secret",
        group="Services and plans",
        right=Right.CATALOG,
        summary="What a service signs its callbacks with is shown; it is made if there is none.",
        model=OneService,
        fields=(SERVICE,),
        preview=_preview_secret,
        carry_out=_show_secret,
        button="Show it",
    ),
    Action(
        slug="rotate-callback-secret",
        title="Rotate a service's callback secret",
        group="Services and plans",
        right=Right.CATALOG,
        summary="A service gets a new callback secret, which is shown; the one before is good for some hours.",
        model=Rotation,
        fields=(
            SERVICE,
            Field("overlap_hours", "Hours that both are good", "number", value="24", hint="0: the old one ends."),
        ),
        preview=_preview_rotating,
        carry_out=_rotate,
        button="Rotate it",
        danger=True,
    ),
)
