"""The rest of an organization that has lived for months: members, keys, services, ledger, audit, webhooks."""

import json
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from domain import operations, organizations, plans, services
from domain.limit_texts import parse_limits
from domain.passwords import hash_password
from domain.sealing import seal
from domain.settings import Settings
from domain.snapshots import LimitSnapshot
from tests.drills.lived_in_jobs import write_jobs
from tests.drills.lived_in_logs import Call, decisions_of, write_logs
from tests.drills.lived_in_rollups import OLDER, fold_logs, write_older_rollups, write_summaries

SLUG = "lived-in"
PLAN = "lived-in-plan"
MEMBERS, ENTRIES, AUDITED, DELIVERIES = 50, 10_000, 10_000, 1_000
CATALOG = {"weather": 4, "maps": 4, "translate": 3, "documents": 5, "images": 4, "search": 4}
CREDIT = 1_000_000


@dataclass(frozen=True, slots=True)
class Life:
    """What was written."""

    organization_id: UUID
    slug: str
    owner_id: int
    keys: list[UUID]
    calls: list[Call]


async def live(connection: Any, settings: Settings, *, rows: int, keys: int, now: datetime) -> Life:
    """Write all of it into a migrated database that has no such organization."""
    limits = parse_limits(["1000/minute", "100000/hour", "1000000/day per key"])
    await plans.create(connection, slug=PLAN, limits=limits, name="Lived in", public=True)
    organization = await organizations.create(connection, name="Lived In Limited", plan_slug=PLAN, slug=SLUG)
    owner = await _write_members(connection, organization.id)
    key_ids = await _write_keys(connection, organization.id, keys, now)
    calls = await _write_catalog(connection)
    await write_logs(connection, organization.id, key_ids, calls, await _traces(connection), rows, now)
    await fold_logs(connection, organization.id, now)
    await write_older_rollups(connection, organization.id, key_ids, calls, now)
    await write_summaries(connection, organization.id)
    await write_ledger(connection, organization.id, now)
    await _write_audit(connection, organization.id, owner, now)
    await _write_webhooks(connection, settings, organization.id, now)
    await write_jobs(connection, organization.id, key_ids, calls[2], now)
    await connection.execute("vacuum analyze", timeout=1800)
    return Life(organization.id, SLUG, owner, key_ids, calls)


async def find_life(connection: Any) -> Life | None:
    """What an earlier run wrote and kept; None if there is none."""
    organization_id = await connection.fetchval("select id from organization where slug = $1", SLUG)
    if organization_id is None:
        return None
    owner = await connection.fetchval(
        "select user_id from membership where organization_id = $1 and role = 'owner' order by user_id limit 1",
        organization_id,
    )
    keys = await connection.fetch(
        "select id from api_key where organization_id = $1 order by created_at desc", organization_id
    )
    calls = await connection.fetch(
        "select service_id, id as operation_id, method, path_pattern as path, price_micro from operation order by id"
    )
    return Life(organization_id, SLUG, owner, [row["id"] for row in keys], [Call(**row) for row in calls])


async def _traces(connection: Any) -> list[bytes]:
    plan_id = await connection.fetchval("select id from plan where slug = $1", PLAN)
    rows = await connection.fetch(
        "select id, name, amount, period, scope, shadow from plan_limit where plan_id = $1 order by name", plan_id
    )
    return decisions_of(plan_id, [LimitSnapshot(**row) for row in rows])


async def _write_members(connection: Any, organization_id: UUID) -> int:
    """Fifty of them; the owner's id."""
    password = await hash_password("correct horse battery")
    return await connection.fetchval(
        "with people as (insert into users (username, email, password, first_name, last_name, active, email_verified_at)"
        " select e, e, $2, 'Member', i::text, true, now() from generate_series(1, $3::int) i,"
        "  lateral (select 'member-' || i || '@lived-in.example' as e) as x returning id),"
        " members as (insert into membership (id, organization_id, user_id, role) select gen_random_uuid(), $1, id,"
        "  (array['owner', 'admin', 'developer', 'billing', 'viewer'])[1 + (row_number() over (order by id) - 1) % 5]"
        "  from people returning user_id, role)"
        " select min(user_id) from members where role = 'owner'",
        organization_id,
        password,
        MEMBERS,
    )


async def _write_keys(connection: Any, organization_id: UUID, count: int, now: datetime) -> list[UUID]:
    """Busiest first, which is the newest."""
    rows = await connection.fetch(
        "insert into api_key (id, created_at, organization_id, name, scheme, public_id, prefix, last4, digest,"
        " pepper_version, environment, revoked_at, last_used_at)"
        " select gen_random_uuid(), $3::timestamptz - i * interval '25 minutes', $1, 'Key ' || i || ' of the team '"
        "  || (array['payments', 'search', 'mobile', 'data science', 'partners'])[1 + i % 5], 'hmac',"
        "  substr(md5(i::text), 1, 12), 'pe_live_' || substr(md5(i::text), 1, 12), substr(md5(i::text), 20, 4),"
        "  sha256(i::text::bytea), 1, (array['live', 'live', 'live', 'test'])[1 + i % 4],"
        "  case when i % 11 = 0 then $3 - interval '1 hour' end, $3 - i * interval '20 seconds'"
        " from generate_series(1, $2::int) i returning id, created_at",
        organization_id,
        count,
        now,
    )
    return [row["id"] for row in sorted(rows, key=lambda row: row["created_at"], reverse=True)]


async def _write_catalog(connection: Any) -> list[Call]:
    calls = []
    for slug, count in CATALOG.items():
        service = await services.create(
            connection, slug=slug, prefix=f"/{slug}", upstreams=["http://127.0.0.1:9"], name=slug.title(), category="Data",
            description=f"Everything about {slug}, by the request.",
        )  # fmt: skip
        for number in range(count):
            operation = await operations.create(
                connection,
                service_slug=slug,
                method=("GET", "GET", "POST", "PUT", "DELETE")[number],
                path_pattern=f"/v1/{('items', 'reports', 'jobs', 'files', 'files')[number]}/{{id}}",
                name=("get-item", "get-report", "start-job", "put-file", "delete-file")[number],
                price_micro=(number + 1) * 500,
            )
            path = f"/{slug}{operation.path_pattern.replace('{id}', '{n}')}"
            calls.append(Call(service.id, operation.id, operation.method, path, operation.price_micro))
    return calls


async def write_ledger(connection: Any, organization_id: UUID, now: datetime, entries: int = ENTRIES) -> None:
    """One purchase of 1,000 credits in a hundred entries, the rest usage: every account and grant adds up."""
    await connection.execute(
        "insert into credit_entry (id, created_at, organization_id, type, debit, credit, amount_micro, balance_after_micro,"
        " number, reason, requests, stored_at, first_at, last_at)"
        " select gen_random_uuid(), at, $1, case when buys then 'purchase' else 'usage' end,"
        "  case when buys then 'purchases' else 'credits' end, case when buys then 'credits' else 'usage' end, amount,"
        "  sum(case when buys then amount else -amount end) over (order by i), i, case when buys then 'Invoice ' || i else '' end,"
        "  case when buys then 0 else 1000 end, case when not buys then at end, case when not buys then at - interval '1 min' end,"
        "  case when not buys then at end"
        " from (select i, i % 100 = 1 as buys, $3::timestamptz - ($2 - i) * $4::interval as at,"
        "   case when i % 100 = 1 then 1000 * $5::bigint else $5::bigint end as amount from generate_series(1, $2::int) i) as x",
        organization_id,
        entries,
        now,
        OLDER / entries,
        CREDIT,
    )
    await connection.execute(
        "insert into credit_account (id, organization_id, balance_micro, purchases_micro, usage_micro, entries)"
        " select gen_random_uuid(), $1, bought - used, bought, used, $2 from (select"
        "  coalesce(sum(amount_micro) filter (where type = 'purchase'), 0) as bought,"
        "  coalesce(sum(amount_micro) filter (where type = 'usage'), 0) as used from credit_entry where organization_id = $1) as x"
        " on conflict (organization_id) do update set balance_micro = excluded.balance_micro,"
        "  purchases_micro = excluded.purchases_micro, usage_micro = excluded.usage_micro, entries = excluded.entries",
        organization_id,
        entries,
    )
    await connection.execute(
        "insert into credit_grant (id, created_at, organization_id, entry_id, amount_micro, remaining_micro)"
        " select gen_random_uuid(), created_at, $1, id, amount_micro,"
        "  least(amount_micro, greatest(0, sum(amount_micro) over (order by number) - (select usage_micro from credit_account"
        "   where organization_id = $1))) from credit_entry where organization_id = $1 and type = 'purchase'",
        organization_id,
    )


async def _write_audit(connection: Any, organization_id: UUID, owner: int, now: datetime) -> None:
    await connection.execute(
        "insert into audit_entry (id, created_at, organization_id, actor_kind, actor_id, actor_name, verb, object_type,"
        " object_id, object_name, before, after, address, request_id)"
        " select gen_random_uuid(), $3::timestamptz - i * $4::interval, $1, 'user', $2, 'member-1@lived-in.example',"
        "  (array['key.create', 'key.change', 'key.revoke', 'member.invite', 'webhook.change', 'logs.export'])[1 + i % 6],"
        "  'api_key', gen_random_uuid()::text, 'Key ' || i, '{\"name\": \"before\"}', '{\"name\": \"after\"}', '198.51.100.7',"
        "  gen_random_uuid()::text from generate_series(1, $5::int) i",
        organization_id,
        owner,
        now,
        timedelta(minutes=12),
        AUDITED,
    )


async def _write_webhooks(connection: Any, settings: Settings, organization_id: UUID, now: datetime) -> None:
    endpoint = await connection.fetchval("select gen_random_uuid()")
    secret = seal(settings.secrets, b"0" * 24, purpose="webhook secret", owner=str(endpoint))
    await connection.execute(
        "insert into webhook_endpoint (id, organization_id, url, description, secret)"
        " values ($1, $2, 'https://hooks.example.com/events', 'Billing', $3)",
        endpoint,
        organization_id,
        secret,
    )
    payload = {"type": "key.revoked", "timestamp": now.isoformat(), "data": {"id": str(endpoint)}}
    await connection.execute(
        "with events as (insert into webhook_event (id, created_at, organization_id, type, payload) select gen_random_uuid(),"
        "  $3::timestamptz - i * interval '1 hour', $2, 'key.revoked', $4::jsonb from generate_series(1, $5::int) i"
        "  returning id, created_at)"
        " insert into webhook_delivery (id, created_at, event_id, endpoint_id, organization_id, state, due_at, attempts,"
        "  ended_at, response_status, response_excerpt, duration_ms)"
        " select gen_random_uuid(), created_at, id, $1, $2, 'delivered', created_at, 1, created_at, 200, 'ok', 37 from events",
        endpoint,
        organization_id,
        now,
        json.dumps(payload),
        DELIVERIES,
    )
