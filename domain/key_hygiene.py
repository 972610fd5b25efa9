"""Which API keys their owners should look at: never or long not used, without an end or a bound, under an old pepper."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

UNUSED_AFTER = timedelta(days=90)
OLD_AFTER = timedelta(days=365)
EXPIRING_WITHIN = timedelta(days=14)
MOST_ORGANIZATIONS = 20

_ALIVE = "k.revoked_at is null and (k.expires_at is null or k.expires_at > $1::timestamptz)"
_UNUSED = "coalesce(k.last_used_at, k.created_at) < $1::timestamptz - $2::interval"
_COUNTS = f"""
select count(*) as live,
       count(*) filter (where k.last_used_at is null and k.created_at < $1::timestamptz - $2::interval) as never_used,
       count(*) filter (where k.last_used_at is not null and {_UNUSED}) as long_unused,
       count(*) filter (where k.expires_at is null and k.created_at < $1::timestamptz - $3::interval) as old_without_an_end,
       count(*) filter (where k.expires_at < $1::timestamptz + $4::interval) as expiring_soon,
       count(*) filter (where cardinality(k.scopes) = 0 and cardinality(k.allowed_ips) = 0) as unrestricted,
       count(*) filter (where k.pepper_version < $5) as under_an_old_pepper,
       count(*) filter (where k.public_id is null) as imported
  from api_key k where {_ALIVE}
"""
_ORGANIZATIONS = f"""
select o.slug, count(*) as keys from api_key k join organization o on o.id = k.organization_id
 where {_ALIVE} and {_UNUSED} group by o.slug order by 2 desc, 1 limit $3
"""


@dataclass(frozen=True, slots=True)
class KeyHygiene:
    """Counts of live keys, and the organizations with most keys that nobody uses."""

    counts: dict[str, int]
    unused_by_organization: dict[str, int]


async def look_at_keys(connection: Any, now: datetime, pepper_version: int) -> KeyHygiene:
    """As they are at `now`; `pepper_version` is the one that new keys use. Changes nothing."""
    counts = await connection.fetchrow(_COUNTS, now, UNUSED_AFTER, OLD_AFTER, EXPIRING_WITHIN, pepper_version)
    rows = await connection.fetch(_ORGANIZATIONS, now, UNUSED_AFTER, MOST_ORGANIZATIONS)
    return KeyHygiene(dict(counts), {row["slug"]: row["keys"] for row in rows})
