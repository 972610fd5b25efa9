"""What operators look at beyond what the reports' filler writes: people, ledgers, the audit, mails, webhooks, runs, sessions.

`{n}` is the number of organizations. Organization 1 is the heavy one. Triggers and foreign keys are off while it is filled.
"""

import asyncio
from collections.abc import Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

import asyncpg

from domain.audit import Verb
from domain.audit_chain.sealing import seal
from jobs.registry import JOBS
from tests.drills.lived_in_jobs import OF_MANY
from tests.drills.lived_in_life import write_ledger
from tests.drills.lived_in_office_logs import write_logs
from tests.drills.reports_filling import END, STATEMENTS, run_all

HEAVY = "org-1"
HEAVY_KEYS = 5
"""Of 5 keys of each organization, one in so many of the last fifth of all is the heavy one's: 20,000 of 500,000."""

SEALED = 1_000
"""Entries of the audit that are sealed as a job would; the links of those before have their places, but no hash of a chain."""

_VERBS = (
    Verb.ACCOUNT_SIGN_IN, Verb.KEY_CREATE, Verb.KEY_CHANGE, Verb.KEY_REVOKE, Verb.CREDITS_GRANT, Verb.LOGS_EXPORT,
    Verb.ACCOUNT_SIGN_IN_FAILED, Verb.KEY_ROTATE, Verb.WEBHOOK_CHANGE, Verb.SUBSCRIPTION_CHANGE, Verb.KEY_CREATE,
)  # fmt: skip
_RARE = Verb.ORGANIZATION_SUSPEND
_MANY = "array[{}]".format(", ".join(f"'{verb}'" for verb in _VERBS))
_JOBS = "array[{}]".format(", ".join(f"'{job.name}'" for job in JOBS))
_LIKELY = "md5('o' || 1 + floor({n} * power((hashint4(i) & 1048575) / 1048576.0, 4))::int)::uuid"
"""Of an organization: number 1 in one of 18 cases with 100,000."""

_CATALOG = (
    (
        "insert into plan (id, slug, name, price_cents) select md5('l' || i)::uuid, 'plan-' || i, 'Plan ' || i, i * 1000"
        " from generate_series(4, 39) i"
    ),
    (
        "insert into plan_limit (id, plan_id, name, amount, period, scope) select md5('m' || i || period)::uuid,"
        " md5('l' || i)::uuid, period, 1000 * (i + 1) * factor, period, 'organization' from generate_series(4, 39) i,"
        " (values ('hour', 1), ('day', 10)) as v (period, factor)"
    ),
    (
        "insert into service (id, slug, name, route_prefix, upstreams) select md5('s' || i)::uuid, 'service-' || i, 'Service ' || i,"
        " '/s' || i, '[{{\"url\": \"http://127.0.0.1:9\"}}]' from generate_series(20, 199) i"
    ),
    (
        "insert into operation (id, service_id, name, method, path_pattern, price_micro) select md5('p' || i)::uuid,"
        " md5('s' || 20 + i % 180)::uuid, 'operation ' || i, 'POST', '/v1/' || i || '/{{item}}', i from generate_series(1000, 1899) i"
    ),
    (
        "update subscription s set plan_id = md5('l' || 4 + n % 36)::uuid,"
        " state = case when n % 3 = 0 then 'past_due' else s.state end from (select id, substr(slug, 5)::int as n from organization"
        " where substr(slug, 5)::int % 25 = 0) o where o.id = s.organization_id"
    ),
    (
        "update organization set state = case when substr(slug, 5)::int % 997 = 0 then 'closed' else 'suspended' end"
        " where substr(slug, 5)::int % 97 = 7 or substr(slug, 5)::int % 997 = 0"
    ),
)
_INDEXES = """
select i.indexrelid::regclass::text as name, pg_get_indexdef(i.indexrelid) as definition
  from pg_index i where i.indrelid = any($1::text[]::regclass[]) and not i.indisunique
"""
_KEYS = (
    "update {table} set organization_id = md5('o1')::uuid from generate_series(5 * {{n}} - {{n}} / {part} + 1, 5 * {{n}}) i"
    " where {table}.organization_id = md5('o' || 1 + i % {{n}})::uuid and {table}.{column} = md5('k' || i)::uuid"
)
_MOVED = tuple(
    _KEYS.format(table=table, part=HEAVY_KEYS, column=column)
    for table, column in (("api_key", "id"), ("usage_rollup", "key_id"), ("usage_summary", "key_id"))
)
_PEOPLE = (
    (
        "insert into users (id, created_at, username, email, password, first_name, last_name, active, email_verified_at, last_login)"
        " select i, now() - i % {n} * interval '78 seconds', e, e, '$argon2-none', 'Person', i::text, true, now(), now()"
        " from generate_series(1, 3 * {n} / 2) i, lateral (select 'person-' || i || '@company-' || i % 997 || '.example' as e) x"
    ),
    "select setval(pg_get_serial_sequence('users', 'id'), 3 * {n} / 2)",
    (
        "insert into membership (id, organization_id, user_id, role) select md5('b' || i)::uuid, md5('o' || 1 + (i - 1) % {n})::uuid, i,"
        " case when i <= {n} then 'owner' else (array['admin', 'developer', 'billing', 'viewer'])[1 + i % 4] end"
        " from generate_series(1, 3 * {n} / 2) i"
    ),
    (
        "insert into membership (id, organization_id, user_id, role) select md5('h' || i)::uuid, md5('o1')::uuid, i, 'developer'"
        " from generate_series({n} / 2, {n} / 2 + 299) i on conflict do nothing"
    ),
    (
        "insert into portal_session (id, created_at, user_id, token_digest, last_seen_at, expires_at, address, user_agent)"
        " select md5('z' || i)::uuid, now() - i * interval '20 s', 1 + i % {n}, sha256(i::text::bytea), now() - i * interval '10 s',"
        " now() + interval '20 days', '198.51.100.9', 'Mozilla/5.0 (X11; Linux x86_64) Firefox/144.0'"
        " from generate_series(1, {n} / 2) i"
    ),
)
_LEDGER = (
    "delete from credit_entry where organization_id = md5('o1')::uuid or type = 'usage'",
    (
        "insert into credit_entry (id, created_at, organization_id, type, debit, credit, amount_micro, balance_after_micro, number,"
        " requests, stored_at, first_at, last_at) select gen_random_uuid(), at, md5('o' || i)::uuid, 'usage', 'credits', 'usage',"
        " 100000, 5000000 - (number - 5) * 100000, number, 50, at, at - interval '1 min', at"
        " from generate_series(2, {n}) i, generate_series(6, 15) number,"
        " lateral (select now() - (i * 37 % 1000) * interval '1 s' - (15 - number) * interval '140 min' as at) x"
    ),
    (
        "update credit_account set balance_micro = 4000000, usage_micro = 1000000, entries = 15"
        " where organization_id <> md5('o1')::uuid"
    ),
    (
        "insert into credit_grant (id, created_at, organization_id, entry_id, amount_micro, remaining_micro)"
        " select gen_random_uuid(), created_at, organization_id, id, amount_micro, case when number <= 1 then 0 else amount_micro end"
        " from credit_entry where type = 'purchase'"
    ),
)
_AUDIT = (
    "insert into audit_entry (id, created_at, organization_id, actor_kind, actor_id, actor_name, verb, object_type, object_id,"
    " object_name, before, after, reason, address, request_id) select md5('a' || i)::uuid, now() - i * {step}::interval,"
    " case when i % 11 in (0, 6) then null else organization end, case when i % 7 = 0 then 'operator' else 'user' end,"
    " case when i % 7 = 0 then i % 20 + 1 else i % {n} + 1 end,"
    " case when i % 7 = 0 then 'operator-' || i % 20 || '@office.example' else 'person-' || i % {n} + 1 || '@company.example' end,"
    f" case when i % 5000 = 0 then '{_RARE}' else ({_MANY})[1 + i % 11] end,"
    " case when i % 11 in (0, 6) then 'user' else 'api_key' end,"
    " case when i % 11 in (0, 6) then (i % {n} + 1)::text else md5('k' || i % (5 * {n}))::uuid::text end, 'Key ' || i,"
    " '{{\"name\": \"before\"}}', '{{\"name\": \"after\"}}', case when i % 7 = 0 then 'A ticket' else '' end, '198.51.100.7',"
    " md5('q' || i)::uuid::text from generate_series(10 * {n}, 1, -1) i, lateral (select "
    + _LIKELY
    + " as organization) x",
    (
        "insert into audit_link (position, created_at, entry_id, day, hash) select number, created_at, id,"
        " (created_at at time zone 'UTC')::date, sha256(id::text::bytea) from (select row_number() over (order by created_at, id)"
        " as number, created_at, id from audit_entry) e where number <= 10 * {n} - {sealed}"
    ),
    (
        "insert into audit_unsealed (created_at, entry_id) select created_at, id from (select created_at, id from audit_entry"
        " order by created_at desc, id desc limit {sealed}) e order by created_at, id"
    ),
)
_OUTSIDE = (
    (
        "insert into webhook_endpoint (id, organization_id, url, description, secret) select md5('w' || i)::uuid,"
        " case when i <= 5 then md5('o1')::uuid else md5('o' || i * 10)::uuid end, 'https://hooks.example.com/' || i, 'Billing',"
        " sha256(i::text::bytea) from generate_series(1, {n} / 10) i"
    ),
    (
        "insert into webhook_event (id, created_at, organization_id, type, payload) select md5('v' || i)::uuid,"
        " now() - i * interval '4 s', e.organization_id, 'key.revoked',"
        " jsonb_build_object('type', 'key.revoked', 'timestamp', now(), 'data', jsonb_build_object('id', i))"
        " from generate_series(1, 3 * {n}) i join webhook_endpoint e"
        " on e.id = md5('w' || case when i % 10 = 0 then 1 + i % 5 else 1 + i % ({n} / 10) end)::uuid"
    ),
    (
        "insert into webhook_delivery (id, created_at, event_id, endpoint_id, organization_id, state, due_at, attempts, ended_at,"
        " response_status, response_excerpt, duration_ms, last_error)"
        " select md5('d' || i)::uuid, v.created_at, v.id, e.id, v.organization_id,"
        " case when i % 5000 = 1 then 'waiting' when i % 50 = 0 then 'failed' else 'delivered' end, v.created_at, 1,"
        " case when i % 5000 <> 1 then v.created_at end, case when i % 50 = 0 then 500 else 200 end, 'ok', 37, ''"
        " from generate_series(1, 3 * {n}) i join webhook_event v on v.id = md5('v' || i)::uuid"
        " join webhook_endpoint e on e.id = md5('w' || case when i % 10 = 0 then 1 + i % 5 else 1 + i % ({n} / 10) end)::uuid"
    ),
    (
        "insert into outbox_message (id, created_at, template, recipient, content, state, due_at, attempts, ended_at, last_error)"
        " select md5('x' || i)::uuid, now() - i * interval '15 s', 'verify_email', 'person-' || i || '@company.example', '',"
        " case when i % 2000 = 1 then 'waiting' when i % 100 = 0 then 'failed' else 'delivered' end, now() - i * interval '15 s', 1,"
        " case when i % 2000 <> 1 then now() - i * interval '14 s' end, case when i % 100 = 0 then '550 no such mailbox' else '' end"
        " from generate_series(1, 5 * {n}) i"
    ),
    (
        "insert into job_run (id, created_at, name, ticket, state, attempt, started_at, ended_at, result, error)"
        f" select md5('r' || i)::uuid, now() - i * interval '30 s', ({_JOBS})[1 + i % {len(JOBS)}], 'ticket-' || i,"
        " case when i % 500 = 0 then 'failed' else 'succeeded' end, 1, now() - i * interval '30 s', now() - i * interval '29 s',"
        " '{{\"rows\": 7}}', case when i % 500 = 0 then 'TimeoutError' else '' end from generate_series(1, 2 * {n}) i"
    ),
)


_ASYNC_JOBS = OF_MANY.format(
    organization=_LIKELY, key="md5('k' || i % (5 * {n}))::uuid", service="md5('s' || 20 + i % 180)::uuid",
    operation="md5('p' || 1000 + i % 900)::uuid", count="5 * {n}", step="'15 s'",
).replace("'{}'::bytea", "'{{}}'::bytea")  # fmt: skip
"""To be formatted as all others; one object of JSON stands in it."""


async def fill_office(url: str, organizations: int, rows: int) -> None:
    """Fill a migrated, empty database; what the reports' filler wrote before is not written again.

    On several connections, because each statement keeps one core of the server.
    """
    connection = await _connect(url)
    if not await connection.fetchval("select exists (select from refusal_summary)"):
        await run_all(connection, STATEMENTS, organizations)
    values = {"n": organizations, "step": f"'{90 * 86_400 / (10 * organizations)} s'", "sealed": SEALED}
    now = await connection.fetchval("select now()")
    await _run(url, _CATALOG, values)
    async with asyncio.TaskGroup() as group:
        group.create_task(_run(url, (*_MOVED, *_PEOPLE), values))
        group.create_task(_run(url, _LEDGER, values, ("credit_entry", "credit_grant")))
        group.create_task(
            _run(url, _OUTSIDE, values, ("webhook_event", "webhook_delivery", "outbox_message", "job_run"))
        )
        group.create_task(_run(url, (_ASYNC_JOBS,), values, ("async_job",)))
        group.create_task(_run(url, _AUDIT, values, ("audit_entry",)))
        group.create_task(_logs(url, organizations, rows, now))
    heavy: UUID = await connection.fetchval("select id from organization where slug = $1", HEAVY)
    await write_ledger(connection, heavy, now)
    await seal(connection, most=SEALED)
    await run_all(connection, END, organizations)
    await connection.close()


async def _run(url: str, statements: Sequence[str], values: dict[str, Any], tables: Sequence[str] = ()) -> None:
    """Run them one after another, without the indexes of these tables that are no constraint's."""
    connection = await _connect(url)
    try:
        indexes = await connection.fetch(_INDEXES, list(tables))
        for index in indexes:
            await connection.execute(f"drop index {index['name']}")
        for statement in statements:
            await connection.execute(statement.format(**values), timeout=3600)
        for index in indexes:
            await connection.execute(index["definition"], timeout=3600)
    finally:
        await connection.close()


async def _logs(url: str, organizations: int, rows: int, now: datetime) -> None:
    connection = await _connect(url)
    try:
        await write_logs(connection, organizations, rows, now)
    finally:
        await connection.close()


async def _connect(url: str) -> Any:
    connection = await asyncpg.connect(url, timeout=60)
    await connection.execute(STATEMENTS[0])
    return connection
