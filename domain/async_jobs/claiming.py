"""Which jobs are sent now, and what becomes of an attempt to send one.

A claim moves `due_at` ahead by a lease and counts the attempt, so a dispatcher that dies costs only time. How many jobs
of a service are at work is counted under the lock of the service's row, so that no number of dispatchers takes one more
than `job_concurrency`: a job takes its place with the claim, and leaves it with its end, or when it is certain that its
upstream is not at work on it.

Whose job is next: of the organization with the fewest at work in that service, then the oldest. So who has thousands
waiting takes the places that nobody else wants (decision 61).
"""

from dataclasses import dataclass
from datetime import timedelta
from typing import Any
from uuid import UUID

FIRST_PAUSE, LONGEST_PAUSE = timedelta(seconds=1), timedelta(minutes=5)
LEASE_MARGIN = timedelta(seconds=10)
LONGEST_ATTEMPT = timedelta(minutes=10)
LONGEST_ERROR = 500

_WAITING = """
with recursive waiting as (
  (select service_id from async_job where due_at is not null order by service_id limit 1)
  union all
  select (select j.service_id from async_job j where j.due_at is not null and j.service_id > w.service_id
           order by j.service_id limit 1)
    from waiting w where w.service_id is not null
)
select w.service_id from waiting w
 where exists (select from async_job j where j.service_id = w.service_id and j.due_at <= now()) limit 500
"""
_SERVICE = """
select id, slug, enabled, upstreams, connect_timeout_ms, first_byte_timeout_ms, idle_timeout_ms, total_timeout_ms, tls_verify,
       job_concurrency
  from service where id = $1 for no key update
"""
_CLAIM = """
with recursive owners as (
  (select organization_id from async_job where service_id = $1 and due_at is not null and not working
    order by organization_id limit 1)
  union all
  select (select j.organization_id from async_job j where j.service_id = $1 and j.due_at is not null and not j.working
             and j.organization_id > o.organization_id order by j.organization_id limit 1)
    from owners o where o.organization_id is not null
), at_work as (
  select organization_id, count(*) as jobs, count(*) filter (where due_at <= now()) as again from async_job
   where service_id = $1 and working group by organization_id
), room as (
  select case when $3 = 0 then $2
              else least($2, greatest($3 - (select coalesce(sum(jobs), 0) from at_work), 0)) end as places
), next_owners as (
  select o.organization_id, coalesce(a.jobs, 0) as jobs
    from owners o join organization g on g.id = o.organization_id and g.state = 'active'
    left join at_work a on a.organization_id = o.organization_id
    cross join lateral (
      select due_at from async_job
       where service_id = $1 and organization_id = o.organization_id and due_at is not null and not working
         and due_at <= now() and deadline > now() order by due_at limit 1) first
   order by coalesce(a.jobs, 0), first.due_at limit (select places from room)
), candidates as (
  select f.id, f.due_at, false as again, o.jobs + f.nth as turn from next_owners o cross join lateral (
      select id, due_at, row_number() over (order by due_at) as nth from async_job
       where service_id = $1 and organization_id = o.organization_id and due_at is not null and not working
         and due_at <= now() and deadline > now() order by due_at limit (select places from room)) f
  union all
  select j.id, j.due_at, true, a.jobs - a.again + row_number() over (partition by j.organization_id order by j.due_at)
    from async_job j join at_work a on a.organization_id = j.organization_id
   where j.service_id = $1 and j.working and j.due_at <= now() and j.deadline > now()
), chosen as (
  select id from (
    select id, again, turn, due_at, count(*) filter (where not again) over (order by turn, due_at, id) as place
      from candidates) c
   where again or place <= (select places from room) order by turn, due_at, id limit $2
), locked as (
  select id from async_job where id in (select id from chosen) and ended_at is null and due_at <= now()
     for update skip locked
)
update async_job j set attempts = j.attempts + 1, working = true, due_at = now() + $4::interval,
       started_at = coalesce(j.started_at, now())
 where j.id in (select id from locked)
returning j.id, j.organization_id, j.attempts, j.method, j.target, j.fields, j.body
"""
_TAKEN = """
update async_job set status = 'processing', due_at = null, last_error = '' where id = $1 and status = 'pending'
"""
_LATER = """
update async_job set due_at = now() + $3::interval, working = $4, last_error = $5
 where id = $1 and attempts = $2 and status = 'pending'
"""


@dataclass(frozen=True, slots=True)
class Target:
    """Where a service's jobs go, and how long an attempt may take, in seconds."""

    id: UUID
    slug: str
    enabled: bool
    upstreams: Any
    connect: float
    first_byte: float
    idle: float
    whole: float
    tls_verify: bool


@dataclass(frozen=True, slots=True, repr=False)
class Claim:
    """One attempt to make; `attempts` counts this one. `fields` are sealed."""

    id: UUID
    organization_id: UUID
    attempts: int
    method: str
    target: str
    fields: bytes
    body: bytes
    to: Target


async def services_waiting(connection: Any) -> list[UUID]:
    """Services of which some job is due."""
    return [row["service_id"] for row in await connection.fetch(_WAITING)]


async def claim_due(connection: Any, service_id: UUID, most: int) -> list[Claim]:
    """At most `most` jobs of a service that are due and have a place, in turn of their organizations, in a transaction. Nothing of a service that is gone."""
    async with connection.transaction():
        # Two statements, because what the second counts has to be seen after the lock is had.
        row = await connection.fetchrow(_SERVICE, service_id)
        if row is None or not row["enabled"]:
            return []
        to = _target(row)
        lease = timedelta(seconds=to.whole) + LEASE_MARGIN
        rows = await connection.fetch(_CLAIM, service_id, most, row["job_concurrency"], lease)
    return [Claim(**dict(found), to=to) for found in rows]


async def note_taken(connection: Any, job_id: UUID) -> None:
    """The upstream has taken it and works on it; it will call back. Harmless for one that has gone on or ended since."""
    await connection.execute(_TAKEN, job_id)


async def note_later(connection: Any, claim: Claim, error: str, *, at_work: bool) -> None:
    """The attempt failed, the next one follows after a pause; `at_work`: the upstream may be at work on it all the same."""
    await connection.execute(
        _LATER, claim.id, claim.attempts, pause_after(claim.attempts), at_work, error[:LONGEST_ERROR]
    )


def pause_after(attempts: int) -> timedelta:
    """How long to wait after so many attempts: each time twice as long, to five minutes."""
    return min(FIRST_PAUSE * (1 << min(attempts - 1, 20)), LONGEST_PAUSE)


def _target(row: Any) -> Target:
    connect, first_byte, idle, total = (
        row[f"{name}_timeout_ms"] / 1000 for name in ("connect", "first_byte", "idle", "total")
    )
    whole = min(total or connect + first_byte + idle, LONGEST_ATTEMPT.total_seconds())
    return Target(
        row["id"], row["slug"], row["enabled"], row["upstreams"], connect, first_byte, idle, whole, row["tls_verify"]
    )
