"""Finding a customer, a key, a request by whatever an operator has of it: an address, the beginning of a key, an id, a name.

Every look is along an index and bounded, so it costs the same with a hundred thousand customers.
"""

from dataclasses import dataclass
from typing import Any
from uuid import UUID

from domain.key_format import KEY_PATTERN
from domain.key_listing import printable
from domain.log_reading import LogFilter
from domain.log_store.store import LogStore
from domain.request_ids import time_of

MOST = 10
"""Of each kind."""
LONGEST = 200
SHORTEST_BEGINNING = 2
_LAST = "\U0010ffff"


@dataclass(frozen=True, slots=True)
class Match:
    """One thing that fits. `kind` is organization, user, key, request, job, service or plan; `ref` names it in its page's address."""

    kind: str
    ref: str
    name: str
    detail: str
    state: str = ""


@dataclass(frozen=True, slots=True)
class Found:
    """What fits, best first. `more` where some kind has further ones."""

    matches: tuple[Match, ...]
    more: bool = False


_USERS = """
select 'user' as kind, u.id::text as ref, u.email as name,
       coalesce((select string_agg(o.slug || ' (' || m.role || ')', ', ' order by o.slug) from membership m
                   join organization o on o.id = m.organization_id where m.user_id = u.id), 'in no organization') as detail,
       case when u.active then '' else 'inactive' end as state
  from users u where u.email ~>=~ $1 and u.email ~<~ $2 order by u.email using ~<~ limit $3
"""
_ORGANIZATIONS = """
select 'organization' as kind, o.slug as ref, o.name, 'organization ' || o.slug as detail,
       case when o.state = 'active' then '' else o.state end as state
  from organization o where {} limit $3
"""
_BY_SLUG = _ORGANIZATIONS.format("o.slug ~>=~ $1 and o.slug ~<~ $2 order by o.slug using ~<~")
_BY_NAME = _ORGANIZATIONS.format("lower(o.name) ~>=~ $1 and lower(o.name) ~<~ $2 order by lower(o.name) using ~<~")
_KEYS = """
select 'key' as kind, k.id::text as ref, k.prefix || '…' || k.last4 as name, k.name || ' of ' || o.slug as detail,
       case when k.revoked_at is not null then 'revoked' when k.expires_at <= now() then 'expired' else '' end as state
  from (select * from api_key where prefix ~>=~ $1 and prefix ~<~ $2 order by prefix using ~<~ limit $3) k
  join organization o on o.id = k.organization_id order by k.prefix
"""
_SOLD = """
select 'service' as kind, slug as ref, name, 'service at ' || route_prefix as detail, '' as state
  from service where starts_with(slug, $1) or starts_with(lower(name), $1)
union all
select 'plan', slug, name, 'plan', case when active then '' else 'archived' end
  from plan where starts_with(slug, $1) or starts_with(lower(name), $1) limit $2
"""
_OBJECTS = """
select 'organization' as kind, slug as ref, name, 'organization ' || slug as detail, state from organization where id = $1
union all
select 'key', k.id::text, k.prefix || '…' || k.last4, k.name || ' of ' || o.slug, '' from api_key k
  join organization o on o.id = k.organization_id where k.id = $1
union all
select 'organization', o.slug, o.name, 'its subscription', s.state from subscription s
  join organization o on o.id = s.organization_id where s.id = $1
union all
select 'organization', o.slug, o.name, 'its entry of the ledger: ' || e.type, '' from credit_entry e
  join organization o on o.id = e.organization_id where e.id = $1
union all
select 'organization', o.slug, o.name, 'its webhook endpoint', '' from webhook_endpoint w
  join organization o on o.id = w.organization_id where w.id = $1
union all
select 'organization', o.slug, o.name, 'its webhook delivery', d.state from webhook_delivery d
  join organization o on o.id = d.organization_id where d.id = $1
union all
select 'job', j.id::text, coalesce(s.slug || ': ' || p.name, j.id::text), 'asynchronous job of ' || o.slug, j.status
  from async_job j join organization o on o.id = j.organization_id left join service s on s.id = j.service_id
  left join operation p on p.id = j.operation_id where j.id = $1 or j.request_id = $1
union all
select 'service', slug, name, 'service', '' from service where id = $1
union all
select 'service', s.slug, p.name, 'operation of ' || s.slug, '' from operation p join service s on s.id = p.service_id
 where p.id = $1
union all
select 'plan', slug, name, 'plan', '' from plan where id = $1
"""


def without_secret(text: str) -> str:
    """The text with every whole API key in it cut to the part that is no secret."""
    return KEY_PATTERN.sub(lambda key: b"pe_" + key[1] + b"_" + key[2], text.encode("utf-8", "replace")).decode(
        "utf-8", "replace"
    )


async def find(connection: Any, text: str, logs: LogStore) -> Found:
    """What fits a text without secrets; nothing for one that is shorter than SHORTEST_BEGINNING."""
    wanted = printable(text)[:LONGEST]
    if len(wanted) < SHORTEST_BEGINNING:
        return Found(())
    if (uuid := _uuid(wanted)) is not None:
        return await _by_id(connection, uuid, logs)
    if "@" in wanted:
        return await _beginning(connection, _USERS, wanted.lower())
    if wanted.startswith("pe_"):
        return await _beginning(connection, _KEYS, wanted)
    lower = wanted.lower()
    kinds = [await _beginning(connection, statement, lower) for statement in (_BY_SLUG, _BY_NAME, _USERS)]
    sold = [Match(**dict(row)) for row in await connection.fetch(_SOLD, lower, MOST)]
    unique = dict.fromkeys(match for kind in kinds for match in kind.matches)
    return Found((*unique, *sold), any(kind.more for kind in kinds))


async def _beginning(connection: Any, statement: str, text: str) -> Found:
    rows = await connection.fetch(statement, text, text + _LAST, MOST + 1)
    return Found(tuple(Match(**dict(row)) for row in rows[:MOST]), len(rows) > MOST)


async def _by_id(connection: Any, uuid: UUID, logs: LogStore) -> Found:
    matches = [Match(**dict(row)) for row in await connection.fetch(_OBJECTS, uuid)]
    if time_of(uuid) is not None:
        for entry in await logs.newest(connection, LogFilter(request_id=uuid), 1):
            who = entry.organization or "nobody known"
            matches.append(
                Match("request", str(uuid), f"{entry.method} {entry.path}", f"request of {who}", str(entry.status))
            )
    return Found(tuple(matches))


def _uuid(text: str) -> UUID | None:
    try:
        return UUID(text) if len(text) == 36 else None
    except ValueError:
        return None
