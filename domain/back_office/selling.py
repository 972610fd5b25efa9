"""Plans and services as operators look at them: what is sold, and to how many."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

_SUBSCRIBERS = """
select p.slug, count(s.id) filter (where s.state = 'active') as active,
       count(s.id) filter (where s.state = 'trialing') as trialing,
       count(s.id) filter (where s.state = 'past_due') as past_due,
       count(s.id) filter (where s.plan_version_id is not null) as on_old_terms
  from plan p left join subscription s on s.plan_id = p.id and s.state in ('trialing', 'active', 'past_due')
 group by p.slug
"""


@dataclass(frozen=True, slots=True)
class Subscribers:
    """How many live subscriptions a plan has; `on_old_terms` keep the terms of before an edit until their next period."""

    slug: str
    active: int
    trialing: int
    past_due: int
    on_old_terms: int


async def count_subscribers(connection: Any) -> dict[str, Subscribers]:
    """Of every plan, by its slug."""
    return {row["slug"]: Subscribers(**dict(row)) for row in await connection.fetch(_SUBSCRIBERS)}


@dataclass(frozen=True, slots=True)
class OldTerms:
    """A version of a plan's terms that an edit replaced, and how many subscriptions still have it."""

    number: int
    created_at: datetime
    subscribers: int


async def old_terms(connection: Any, plan_id: UUID, *, most: int = 20) -> list[OldTerms]:
    """A plan's former terms, the latest first."""
    rows = await connection.fetch(
        "select v.number, v.created_at, (select count(*) from subscription s where s.plan_version_id = v.id"
        " and s.state in ('trialing', 'active', 'past_due')) as subscribers"
        " from plan_version v where v.plan_id = $1 order by v.number desc limit $2",
        plan_id,
        most,
    )
    return [OldTerms(**dict(row)) for row in rows]
