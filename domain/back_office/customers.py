"""Organizations as operators look at them: the list in pages, and one whole customer at a glance."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, time, timedelta
from typing import Any
from uuid import UUID

from domain.access import Access
from domain.cursors import Cursor
from domain.faults import NotFound
from domain.ingesting.grains import EVERY

PAGE_SIZE = 50
STATES = ("active", "suspended", "closed")
_DAYS = timedelta(days=6)
"""Before today: a week of UTC days with it."""

_LIST = """
with page as materialized (
    select o.* from organization o
     where ($1::text is null or o.state = $1)
       and ($2::text is null or exists (
            select from subscription s join plan p on p.id = s.plan_id
             where s.organization_id = o.id and p.slug = $2 and s.state in ('trialing', 'active', 'past_due')))
       and ($3::timestamptz is null or (o.created_at, o.id) < ($3, $4::uuid))
     order by o.created_at desc, o.id desc limit $5)
select o.id, o.slug, o.name, o.state, o.created_at, p.slug as plan, s.state as subscription,
       coalesce(a.balance_micro, 0)::bigint as balance_micro,
       (select count(*) from membership m where m.organization_id = o.id) as people,
       (select coalesce(sum(u.requests), 0)::bigint from usage_summary u
         where u.organization_id = o.id and u.key_id = $7 and u.service_id = $7 and u.operation_id = $7
           and u.grain = 'day' and u.bucket >= $6) as week
  from page o
  left join subscription s on s.organization_id = o.id and s.state in ('trialing', 'active', 'past_due')
  left join plan p on p.id = s.plan_id
  left join credit_account a on a.organization_id = o.id
 order by o.created_at desc, o.id desc
"""


@dataclass(frozen=True, slots=True)
class Customer:
    """One organization. `plan` and `subscription` are None without a live one; `week`: requests of the last 7 UTC days."""

    id: UUID
    slug: str
    name: str
    state: str
    created_at: datetime
    plan: str | None
    subscription: str | None
    balance_micro: int
    people: int
    week: int


async def list_customers(
    connection: Any,
    *,
    state: str | None = None,
    plan: str | None = None,
    after: Cursor | None = None,
    limit: int = PAGE_SIZE,
) -> tuple[list[Customer], Cursor | None]:
    """A page of them, newest first, and where the next begins. NotFound is not raised: nothing fits."""
    since = datetime.combine(datetime.now(UTC).date(), time(), UTC) - _DAYS
    at, last = (after.at, after.id) if after else (None, None)
    rows = await connection.fetch(_LIST, state, plan, at, last, limit + 1, since, EVERY)
    customers = [Customer(**dict(row)) for row in rows[:limit]]
    end = customers[-1] if len(rows) > limit else None
    return customers, Cursor(end.created_at, end.id) if end else None


async def operators_access(connection: Any, which: str | UUID, operator_id: int) -> Access:
    """An operator's look at an organization, closed ones too: as an owner who may change nothing. Raises NotFound."""
    condition = "id = $1" if isinstance(which, UUID) else "slug = $1"
    row = await connection.fetchrow(f"select id, slug, name, state from organization where {condition}", which)
    if row is None:
        raise NotFound("There is no such organization.")
    return Access(row["id"], row["slug"], row["name"], row["state"], operator_id, "owner", read_only=True)


@dataclass(frozen=True, slots=True)
class Person:
    """A member as operators see them."""

    id: int
    email: str
    name: str
    role: str
    active: bool
    verified: bool
    has_factor: bool
    last_login: datetime | None


_PEOPLE = """
select u.id, u.email, trim(coalesce(u.first_name, '') || ' ' || coalesce(u.last_name, '')) as name, m.role, u.active,
       u.email_verified_at is not null as verified,
       exists (select from totp_factor f where f.user_id = u.id and f.confirmed_at is not null) as has_factor, u.last_login
  from membership m join users u on u.id = m.user_id where m.organization_id = $1
 order by array_position(array['owner', 'admin', 'developer', 'billing', 'viewer'], m.role), u.email limit $2
"""


async def people_of(connection: Any, organization_id: UUID, *, most: int = 50) -> Sequence[Person]:
    """Its members, owners first."""
    return [Person(**dict(row)) for row in await connection.fetch(_PEOPLE, organization_id, most)]
