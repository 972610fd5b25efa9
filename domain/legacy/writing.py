"""Writing a batch: users, organizations, owners, subscriptions, keys and what they came from, in one transaction.

A few statements for the whole batch: ten thousand clients one by one would take ten times as long.
"""

from datetime import datetime
from typing import Any
from uuid import UUID

import asyncpg

from domain import audit
from domain.billing_periods import months_after
from domain.faults import Conflict
from domain.identity.links import VERIFY, void
from domain.key_digest import SHA256
from domain.legacy.batches import Batch
from domain.legacy.keys import ENVIRONMENT, NewKey
from domain.passwords import NO_PASSWORD
from schema.legacy import LegacyKind

# Whoever signed up with the address and never proved the mailbox has set a password that must not open this account.
_USERS = """
insert into users (username, email, password, active, email_verified_at)
    select email, email, $2, true, now() from unnest($1::text[]) as given (email) order by email
    on conflict (email) do update set password = excluded.password, active = true, email_verified_at = now()
    where not users.active and users.email_verified_at is null
returning id, xmax <> 0 as taken
"""
_ORGANIZATIONS = """
insert into organization (id, created_at, slug, name, state)
    select * from unnest($1::uuid[], $2::timestamptz[], $3::text[], $4::text[], $5::text[])
"""
_OWNERS = """
insert into membership (organization_id, user_id, role)
    select given.id, u.id, 'owner' from unnest($1::uuid[], $2::text[]) as given (id, email) join users u using (email)
"""
_SUBSCRIPTIONS = """
insert into subscription (organization_id, plan_id, state, started_at, period_start, period_end)
    select given.organization_id, given.plan_id, 'active', $3, $3, $4
    from unnest($1::uuid[], $2::uuid[]) as given (organization_id, plan_id)
"""
_RAISED = """
insert into limit_override (organization_id, limit_name, amount, reason)
    select *, 'Another plan of its keys allowed so many in the older installation'
    from unnest($1::uuid[], $2::text[], $3::bigint[])
"""
_KEYS = """
insert into api_key (id, organization_id, name, scheme, prefix, last4, digest, environment, expires_at, revoked_at,
    revoked_reason)
    select id, organization_id, name, $8, prefix, '', digest, $9, expires_at,
           case when revoked_reason is not null then now() end, revoked_reason
    from unnest($1::uuid[], $2::uuid[], $3::text[], $4::text[], $5::bytea[], $6::timestamptz[], $7::text[])
        as given (id, organization_id, name, prefix, digest, expires_at, revoked_reason)
"""
_ROWS = """
insert into legacy_row (source, kind, old_id, new_id, fingerprint)
    select $1, $2, * from unnest($3::text[], $4::uuid[], $5::bytea[])
"""


async def write(connection: Any, actor: audit.Actor, source: str, batch: Batch) -> None:
    """All of it or nothing. Raises Conflict where somebody took a slug, an id or a key meanwhile: a second run sees it."""
    try:
        async with connection.transaction():
            now = await connection.fetchval("select now()")
            await _write_owners(connection, batch)
            await _write_subscriptions(connection, batch, now)
            await _write_keys(connection, batch)
            await _note_rows(connection, source, batch)
            await _audit(connection, actor, source, batch)
    except (asyncpg.UniqueViolationError, asyncpg.ForeignKeyViolationError):
        raise Conflict(
            "Something was changed here while it was imported. Run it again: it goes on from here."
        ) from None


async def _write_owners(connection: Any, batch: Batch) -> None:
    made = batch.organizations
    owned = [each for each in made if each.email is not None]
    users = await connection.fetch(_USERS, list({each.email for each in owned}), NO_PASSWORD)
    for user in users:
        if user["taken"]:
            await void(connection, user["id"], VERIFY)
    await connection.execute(
        _ORGANIZATIONS,
        [each.id for each in made],
        [each.created_at for each in made],
        [each.slug for each in made],
        [each.name for each in made],
        [each.state for each in made],
    )
    await connection.execute(_OWNERS, [each.id for each in owned], [each.email for each in owned])


async def _write_subscriptions(connection: Any, batch: Batch, now: datetime) -> None:
    made = batch.organizations
    ids, plans = [each.id for each in made], [each.plan.id for each in made]
    await connection.execute(_SUBSCRIPTIONS, ids, plans, now, months_after(now, 1))
    raised = [(each.id, name, amount) for each in made for name, amount in each.raised]
    await connection.execute(_RAISED, *([row[place] for row in raised] for place in range(3)))


async def _write_keys(connection: Any, batch: Batch) -> None:
    keys = batch.keys
    await connection.execute(
        _KEYS,
        [key.id for _, key in keys],
        [organization_id for organization_id, _ in keys],
        [key.name for _, key in keys],
        [key.prefix for _, key in keys],
        [key.digest for _, key in keys],
        [key.expires_at for _, key in keys],
        [key.revoked_reason for _, key in keys],
        SHA256,
        ENVIRONMENT,
    )


async def _note_rows(connection: Any, source: str, batch: Batch) -> None:
    for kind, rows in (
        (LegacyKind.CLIENT, [(each.old, each.id) for each in batch.organizations]),
        (LegacyKind.KEY, [(key.old, key.id) for _, key in batch.keys]),
    ):
        ids, new_ids = [old.id for old, _ in rows], [new_id for _, new_id in rows]
        await connection.execute(_ROWS, source, kind.value, ids, new_ids, [old.fingerprint for old, _ in rows])


async def _audit(connection: Any, actor: audit.Actor, source: str, batch: Batch) -> None:
    keys: dict[UUID, list[NewKey]] = {}
    for organization_id, key in batch.keys:
        keys.setdefault(organization_id, []).append(key)
    for each in batch.organizations:
        after = {"source": source, "slug": each.slug, "plan": each.plan.slug, "keys": len(keys.pop(each.id, []))}
        thing = audit.Thing("organization", str(each.id), each.name)
        await audit.record(
            connection, actor, audit.Verb.ORGANIZATION_IMPORT, thing, organization_id=each.id, after=after
        )
    for organization_id, later in keys.items():
        for key in later:
            thing = audit.Thing("key", str(key.id), key.name)
            await audit.record(
                connection,
                actor,
                audit.Verb.KEY_IMPORT,
                thing,
                organization_id=organization_id,
                after={"source": source, "prefix": key.prefix},
            )
