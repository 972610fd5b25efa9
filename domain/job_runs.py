"""Runs of jobs, as rows: asked for, begun, ended. PostgreSQL is the record; the queue only carries them to a worker.

So whoever asks for a run does it in a transaction, with or without Redis, and no run is lost with Redis's memory:
workers put the rows that wait into the queue. A run is begun under its job's advisory lock (`job_locks`), so one that
says it runs while that lock is free has lost its worker.
"""

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Any
from uuid import UUID, uuid4

from domain import audit
from domain.faults import Conflict, InvalidValue, NotFound, in_one_line
from domain.job_locks import HELD
from domain.stored_json import stored_json

SILENT_AFTER = timedelta(seconds=60)
"""A worker gives a sign of life every ten seconds; after this long without one, it is dead."""
OVERDUE_AFTER = timedelta(minutes=2)
"""A run to be tried again is put into the queue anew if nobody has begun it so long after its time."""
ERROR_LENGTH = 500

_SECRETS = re.compile(
    r"(?<=://)[^\s/@]+(?=@)|pe_(?:live|test|pat)_\w+|whsec_\S+|(?i:(?:password|secret|token)\s*[=:]\s*)\S+"
)
_PUBLISH = """
insert into job (name, description, cron, time_zone) select * from unnest($1::text[], $2::text[], $3::text[], $4::text[])
on conflict on constraint uq_job_name do update
   set description = excluded.description, cron = excluded.cron, time_zone = excluded.time_zone, gone_at = null
 where (job.description, job.cron, job.time_zone, job.gone_at)
       is distinct from (excluded.description, excluded.cron, excluded.time_zone, null)
"""
_GONE = "update job set gone_at = now() where gone_at is null and name <> all($1::text[])"
_ASK = """
insert into job_run (id, name, ticket, arguments, requested_by, retry_of)
select $1, j.name, $3, $4::jsonb, $5, $6 from job j where j.name = $2 and j.gone_at is null returning id
"""
_RETRIED = "update job_run set state = 'retried' where id = $1 and state = 'failed' returning name, arguments"
_BEGIN = """
insert into job_run as r (name, ticket, state, attempt, started_at, beat_at, worker)
values ($1, $2, 'running', 1, $3, $3, $4)
on conflict on constraint uq_job_run_ticket do update
   set state = 'running', attempt = r.attempt + 1, started_at = excluded.started_at, beat_at = excluded.beat_at,
       worker = excluded.worker, due_at = null, progress = null
 where r.name = excluded.name and r.state in ('waiting', 'running', 'retrying')
returning id, attempt, arguments, requested_by
"""
_KNOWN = "select exists (select from job_run where ticket = $1)"
_BEAT = "update job_run set beat_at = $3 where id = $1 and attempt = $2 and state = 'running'"
_PROGRESS = "update job_run set progress = $3::jsonb, beat_at = $4 where id = $1 and attempt = $2 and state = 'running'"
_SUCCEED = """
update job_run set state = 'succeeded', ended_at = $3, beat_at = $3, result = $4::jsonb, error = ''
 where id = $1 and attempt = $2 and state = 'running'
"""
_FAIL = """
update job_run set state = 'failed', ended_at = $3, beat_at = $3, error = $4, result = $5::jsonb
 where id = $1 and attempt = $2 and state = 'running'
"""
_LATER = """
update job_run set state = 'retrying', due_at = $3, error = $4 where id = $1 and attempt = $2 and state = 'running'
"""
_PUT_BACK = """
update job_run set state = 'waiting', attempt = attempt - 1, due_at = null
 where id = $1 and attempt = $2 and state = 'running'
"""
# Whoever holds the lock lives, whatever the clocks of two machines say.
_LOST = f"""
update job_run set state = 'waiting', due_at = null
 where (state = 'running' and beat_at < $1 and not {HELD.format(name="job_run.name")})
    or (state = 'retrying' and due_at < $2) returning id
"""
_WAITING = "select id, name, ticket from job_run where state = 'waiting' order by created_at limit $1"
_LAST = "select name, max(created_at) as at from job_run where name = any($1) group by name"


@dataclass(frozen=True, slots=True)
class JobRecord:
    """What others are told of a job: `cron` in `time_zone`."""

    name: str
    description: str
    cron: str
    time_zone: str


@dataclass(frozen=True, slots=True)
class Begun:
    """An attempt that is under way: 1 is the first."""

    id: UUID
    attempt: int
    arguments: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Waiting:
    """A run that waits for a worker."""

    id: UUID
    name: str
    ticket: str


async def publish(connection: Any, jobs: Sequence[JobRecord]) -> None:
    """Tell the database which jobs there are. Others are gone, and nobody can ask for them any more."""
    columns = [[getattr(job, name) for job in jobs] for name in ("name", "description", "cron", "time_zone")]
    async with connection.transaction():
        await connection.execute(_PUBLISH, *columns)
        await connection.execute(_GONE, columns[0])


async def request_run(
    connection: Any, name: str, arguments: Mapping[str, Any], actor: audit.Actor, *, reason: str = ""
) -> UUID:
    """Ask for a run of a job, in the caller's transaction if there is one; its id. Raises NotFound, InvalidValue.

    `arguments`: {"day": "2026-11-20"} for jobs that look at one day, else nothing.
    """
    valid_arguments(arguments)
    run_id = uuid4()
    async with connection.transaction():
        asked = await connection.fetchval(
            _ASK, run_id, name, f"run-{run_id}", stored_json(dict(arguments)), actor.name or actor.kind, None
        )
        if asked is None:
            raise NotFound(f"There is no job {name[:60]!r}.")
        thing = audit.Thing("job", name, name)
        await audit.record(connection, actor, audit.Verb.JOB_RUN, thing, after=dict(arguments), reason=reason)
    return run_id


async def retry(connection: Any, run_id: UUID, actor: audit.Actor, *, reason: str = "") -> UUID:
    """Ask for another run in the place of one that failed; the new one's id. Raises NotFound, Conflict."""
    new_id = uuid4()
    async with connection.transaction():
        row = await connection.fetchrow(_RETRIED, run_id)
        if row is None:
            state = await connection.fetchval("select state from job_run where id = $1", run_id)
            if state is None:
                raise NotFound(f"There is no run {run_id}.")
            raise Conflict(f"Only what failed can be tried again; this run is {state}.")
        name = row["name"]
        who = actor.name or actor.kind
        if await connection.fetchval(_ASK, new_id, name, f"run-{new_id}", row["arguments"], who, run_id) is None:
            raise NotFound(f"There is no job {name} any more.")
        thing = audit.Thing("job_run", str(run_id), name)
        await audit.record(connection, actor, audit.Verb.JOB_RETRY, thing, reason=reason)
    return new_id


def valid_arguments(arguments: Mapping[str, Any]) -> None:
    """Raise InvalidValue for what no job knows."""
    if unknown := sorted(set(arguments) - {"day"}):
        raise InvalidValue(f"Jobs have no argument {', '.join(unknown)[:60]}.")
    if "day" in arguments:
        try:
            date.fromisoformat(str(arguments["day"]))
        except ValueError:
            raise InvalidValue("A day is written like 2026-11-20.") from None


# -- what workers do


async def begin(connection: Any, name: str, ticket: str, *, worker: str, now: datetime) -> Begun | None:
    """Begin an attempt, under the job's lock; None if this run has ended already."""
    row = await connection.fetchrow(_BEGIN, name, ticket, now, worker)
    return None if row is None else Begun(row["id"], row["attempt"], stored_arguments(row["arguments"]))


async def is_known(connection: Any, ticket: str) -> bool:
    """Whether a run of this ticket was asked for or begun before."""
    return bool(await connection.fetchval(_KNOWN, ticket))


async def beat(connection: Any, run: Begun, now: datetime) -> None:
    """A sign of life."""
    await connection.execute(_BEAT, run.id, run.attempt, now)


async def tell_progress(connection: Any, run: Begun, now: datetime, *, done: int, of: int, what: str) -> None:
    """How far it is."""
    await connection.execute(
        _PROGRESS, run.id, run.attempt, stored_json({"done": done, "of": of, "what": what[:ERROR_LENGTH]}), now
    )


async def succeed(connection: Any, run: Begun, result: Mapping[str, Any], now: datetime) -> None:
    """It is done. Nothing happens if somebody else has begun it since."""
    await connection.execute(_SUCCEED, run.id, run.attempt, now, stored_json(dict(result)))


async def fail(
    connection: Any, run: Begun, error: str, now: datetime, *, result: Mapping[str, Any] | None = None
) -> None:
    """It is given up, and stays visible until somebody retries it or it is old."""
    stored = None if result is None else stored_json(dict(result))
    await connection.execute(_FAIL, run.id, run.attempt, now, error, stored)


async def try_later(connection: Any, run: Begun, error: str, due_at: datetime) -> None:
    """The attempt failed; the queue brings the next one."""
    await connection.execute(_LATER, run.id, run.attempt, due_at, error)


async def put_back(connection: Any, run: Begun) -> None:
    """The worker stops: the attempt does not count, and another worker begins it anew."""
    await connection.execute(_PUT_BACK, run.id, run.attempt)


async def find_lost(connection: Any, now: datetime) -> int:
    """Let runs wait again whose worker or whose place in the queue is lost; how many."""
    return len(await connection.fetch(_LOST, now - SILENT_AFTER, now - OVERDUE_AFTER))


async def list_waiting(connection: Any, most: int = 100) -> list[Waiting]:
    """Runs that wait for a worker, oldest first."""
    return [Waiting(*row) for row in await connection.fetch(_WAITING, most)]


async def last_asked(connection: Any, names: Sequence[str]) -> dict[str, datetime]:
    """When each job last had a run, whatever became of it; without those that never had one."""
    return {row["name"]: row["at"] for row in await connection.fetch(_LAST, list(names))}


def stored_arguments(value: Any) -> dict[str, Any]:
    """Arguments as they are stored; what is no object is none."""
    found = json.loads(value) if isinstance(value, str) else value
    return found if isinstance(found, dict) else {}


def error_text(fault: BaseException) -> str:
    """What a run met, in one line, without what may open something."""
    return _SECRETS.sub("***", in_one_line(fault))[:ERROR_LENGTH]
