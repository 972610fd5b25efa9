"""A database with 100,000 organizations and 500,000 keys, filled by PostgreSQL itself: what reports read, and what they must not.

Triggers and foreign keys are off while it is filled. Organization number i used about a hundredth of what number i/4 did; every
figure is a function of numbers, so two fillings are equal.
"""

from collections.abc import Sequence
from typing import Any

EVERY = "ffffffff-ffff-ffff-ffff-ffffffffffff"
_ORG = "md5('o' || i)::uuid"
_SERVICE, _OPERATION = "md5('s' || {n} % 20)::uuid", "md5('p' || {n} % 1000)::uuid"
_LATENCY = "array_fill(0::bigint, array[18]) || array_fill(1::bigint, array[22])"
_TOTALS = "requests, errors, refused, total_us_sum, cost_micro, latency"

STATEMENTS = (
    (
        "set session_replication_role = replica; set work_mem = '512MB'; set maintenance_work_mem = '512MB';"
        " set synchronous_commit = off"
    ),
    (
        "insert into plan (id, slug, name, price_cents) select md5('l' || i)::uuid, 'plan-' || i, 'Plan ' || i, i * 1000"
        " from generate_series(0, 3) i"
    ),
    (
        "insert into plan_limit (id, plan_id, name, amount, period, scope, shadow) select md5('m' || i || period)::uuid,"
        " md5('l' || i)::uuid, period, 1000 * (i + 1) * factor, period, case when period = 'day' then 'key' else 'organization' end,"
        " period = 'hour' from generate_series(0, 3) i,"
        " (values ('hour', 1), ('day', 10), ('month', 200)) as v (period, factor)"
    ),
    (
        "insert into service (id, slug, name, route_prefix, upstreams) select md5('s' || i)::uuid, 'service-' || i, 'Service ' || i,"
        " '/s' || i, '[{\"url\": \"http://127.0.0.1:9\"}]' from generate_series(0, 19) i"
    ),
    (
        "insert into operation (id, service_id, name, method, path_pattern) select md5('p' || i)::uuid, md5('s' || i % 20)::uuid,"
        " 'operation ' || i, 'GET', '/v1/' || i from generate_series(0, 999) i"
    ),
    (
        f"insert into organization (id, created_at, slug, name) select {_ORG}, now() - i * interval '78 seconds', 'org-' || i,"
        " 'Organization ' || i from generate_series(1, $1::int) i"
    ),
    (
        f"insert into subscription (id, organization_id, plan_id, state, period_start, period_end) select gen_random_uuid(), {_ORG},"
        " md5('l' || i % 4)::uuid, 'active', now() - i % 28 * interval '1 day', now() + (30 - i % 28) * interval '1 day'"
        " from generate_series(1, $1::int) i"
    ),
    (
        "insert into organization_milestone (organization_id, signed_up_at, verified_at, first_key_at, first_call_at, first_success_at,"
        " first_priced_at, paid_plan_at) select id, created_at, created_at + interval '1 min', created_at + interval '2 min',"
        " case when n % 3 > 0 then created_at + n % 40 * interval '1 day' end,"
        " case when n % 4 > 0 then created_at + n % 40 * interval '1 day' end,"
        " case when n % 5 = 0 then created_at + n % 40 * interval '1 day' end, case when n % 9 = 0 then created_at end"
        " from (select *, substr(slug, 5)::int as n from organization) as o"
    ),
    (
        "insert into api_key (id, created_at, organization_id, name, scheme, public_id, prefix, last4, digest, pepper_version,"
        " last_used_at, expires_at, allowed_ips) select md5('k' || i)::uuid, now() - i % 400 * interval '1 day',"
        " md5('o' || 1 + i % $1::int)::uuid, 'Key ' || i, 'hmac', md5(i::text), 'pe_live_' || i, right(md5(i::text), 4),"
        " sha256(i::text::bytea), 1, case when i % 5 > 0 then now() - i % 200 * interval '1 day' end,"
        " case when i % 3 = 0 then now() + interval '1 year' end, case when i % 4 = 0 then array['198.51.100.0/24'] else '{}' end"
        " from generate_series(1, 5 * $1::int) i"
    ),
    (
        f"insert into credit_account (id, organization_id, balance_micro, purchases_micro) select gen_random_uuid(), {_ORG}, 5000000,"
        " 5000000 from generate_series(1, $1::int) i"
    ),
    (
        "insert into credit_entry (id, created_at, organization_id, type, debit, credit, amount_micro, balance_after_micro, number)"
        " select gen_random_uuid(), now() - (i * 37 + n * 17) % 90 * interval '1 day', md5('o' || i)::uuid, 'purchase', 'purchases',"
        " 'credits', 1000000, n * 1000000, n from generate_series(1, $1::int) i, generate_series(1, 5) n"
    ),
    (
        "insert into credit_entry (id, created_at, organization_id, type, debit, credit, amount_micro, balance_after_micro, number,"
        " requests, stored_at, first_at, last_at) select gen_random_uuid(), now() - n * interval '9 days', md5('o' || i)::uuid,"
        " 'usage', 'credits', 'usage', 1000, 1000, 5 + n, 1, now(), now(), now()"
        " from generate_series(1, $1::int) i, generate_series(1, 10) n"
    ),
    (
        f"insert into organization_usage (grain, bucket, organization_id, requests, errors, refused, cost_micro) select g, b, {_ORG},"
        " 1 + 40000000 / (i + 20) / w, 3000000 / (i + 20) / w, 1000000 / (i + 20) / w, 5000000000 / (i + 20) / w"
        " from (select 'day' as g, 30 as w, date_trunc('day', now(), 'UTC') - d * interval '1 day' as b from generate_series(0, 3) d"
        " union all select 'week', 4, date_trunc('week', now(), 'UTC') - d * interval '7 days' from generate_series(0, 13) d"
        " union all select 'month', 1, (date_trunc('month', now() at time zone 'UTC') - d * interval '1 month') at time zone 'UTC'"
        "   from generate_series(0, 4) d) as x,"
        " generate_series(1, $1::int) i order by 1, 2, 3"
    ),
    (
        f"insert into usage_summary (organization_id, key_id, service_id, operation_id, bucket, grain, status_class, {_TOTALS})"
        f" select '{EVERY}', '{EVERY}', {_SERVICE.format(n='o')}, {_OPERATION.format(n='o')}, b, g, c, 1000 + o, c * 9, c * 3,"
        f" (1000 + o) * (5000 + o), 100000, {_LATENCY} from (select 'day' as g, date_trunc('day', now(), 'UTC')"
        "  - d * interval '1 day' as b from generate_series(0, 99) d"
        "  union all select 'hour', date_trunc('hour', now(), 'UTC') - d * interval '1 hour' from generate_series(0, 99) d"
        "  union all select 'week', date_trunc('week', now(), 'UTC') - d * interval '7 days' from generate_series(0, 29) d) as x,"
        " generate_series(0, 999) o, unnest(array[2, 4]) c where $1::int > 0"
    ),
    (
        f"insert into usage_summary (organization_id, key_id, service_id, operation_id, bucket, grain, status_class, {_TOTALS})"
        f" select '{EVERY}', '{EVERY}', s, '{EVERY}', b, g, c, 50000, 300, 100, 50000 * 5000::bigint, 5000000, {_LATENCY}"
        " from (select 'day' as g, date_trunc('day', now(), 'UTC') - d * interval '1 day' as b from generate_series(0, 99) d"
        "  union all select 'hour', date_trunc('hour', now(), 'UTC') - d * interval '1 hour' from generate_series(0, 99) d"
        "  union all select 'week', date_trunc('week', now(), 'UTC') - d * interval '7 days' from generate_series(0, 29) d"
        "  union all select 'minute', date_trunc('minute', now()) - d * interval '1 minute' from generate_series(0, 2879) d) as x,"
        f" (select '{EVERY}'::uuid as s, true as every union all select md5('s' || i)::uuid, false from generate_series(0, 19) i) as s,"
        " unnest(array[2, 4]) c where $1::int > 0 and (every or g <> 'minute')"
    ),
    (
        f"insert into usage_summary (organization_id, key_id, service_id, operation_id, bucket, grain, status_class, {_TOTALS})"
        f" select {_ORG}, '{EVERY}', s, p, b, g, c, 1 + 1300000 / (i + 20)"
        "  + case when i % 3 = 0 and b < now() - interval '8 days' then 1000 else 0 end,"  # every third one fades
        f" 100, 30, 9000000, 100000, {_LATENCY}"
        " from generate_series(1, $1::int) i, unnest(array[2, 4]) c,"
        f" (select '{EVERY}'::uuid as s, '{EVERY}'::uuid as p union all select md5('s' || n % 20)::uuid, md5('p' || n)::uuid"
        "   from generate_series(0, 1) n) as y,"
        " lateral (select 'day' as g, date_trunc('day', now(), 'UTC') - d * interval '1 day' as b"
        "   from generate_series(0, case when i <= 400 then 99 when i <= 4000 then 14 else 1 end) d"
        "  union all select 'hour', date_trunc('hour', now(), 'UTC') - d * interval '1 hour'"
        "   from generate_series(0, case when i <= 400 then 60 else 0 end) d) as x"
    ),
    (
        f"insert into usage_summary (organization_id, key_id, service_id, operation_id, bucket, grain, status_class, requests)"
        f" select organization_id, id, '{EVERY}', '{EVERY}', date_trunc('week', now(), 'UTC') - d * interval '7 days', 'week', 0, 500"
        " from api_key, generate_series(0, 2) d where $1::int > 0"
    ),
    (
        "insert into usage_rollup (organization_id, key_id, service_id, operation_id, bucket, grain, status_class, requests, latency)"
        f" select organization_id, id, {_SERVICE.format(n='n')}, {_OPERATION.format(n='n')}, b, g, 2, 900, '{{1,2,3}}'"
        " from (select *, row_number() over (order by id) as n from api_key) as k,"
        " (select 'day' as g, date_trunc('day', now(), 'UTC') - d * interval '1 day' as b from generate_series(0, 3) d"
        "  union all select 'hour', date_trunc('hour', now(), 'UTC')"
        "  union all select 'minute', date_trunc('minute', now())) as x where $1::int > 0"
    ),
    (
        "insert into refusal_summary (organization_id, grain, bucket, service_id, operation_id, refusal, limit_name, limit_id, requests)"
        f" select '{EVERY}', g, b, {_SERVICE.format(n='o')}, {_OPERATION.format(n='o')}, r, '', md5('mx')::uuid, 10 + o"
        " from (select 'day' as g, date_trunc('day', now(), 'UTC') - d * interval '1 day' as b from generate_series(0, 99) d"
        "  union all select 'hour', date_trunc('hour', now(), 'UTC') - d * interval '1 hour' from generate_series(0, 99) d"
        "  union all select 'week', date_trunc('week', now(), 'UTC') - d * interval '7 days' from generate_series(0, 29) d) as x,"
        " generate_series(0, 999) o, unnest(array['rate_limited', 'out_of_credits', 'shadow']) r where $1::int > 0"
    ),
    (
        "insert into refusal_summary (organization_id, grain, bucket, service_id, operation_id, refusal, limit_name, limit_id, requests)"
        f" select {_ORG}, g, b, {_SERVICE.format(n='i')}, {_OPERATION.format(n='i')}, r, '', md5('m' || i % 4 || 'hour')::uuid, 7"
        " from generate_series(1, $1::int / 10) i, unnest(array['rate_limited', 'shadow']) r,"
        " (select 'day' as g, date_trunc('day', now(), 'UTC') - d * interval '1 day' as b from generate_series(0, 29) d"
        "  union all select 'hour', date_trunc('hour', now(), 'UTC') - d * interval '1 hour' from generate_series(0, 9) d"
        "  union all select 'week', date_trunc('week', now(), 'UTC') - d * interval '7 days' from generate_series(0, 13) d) as x"
        " where g <> 'week' or r = 'shadow'"
    ),
)
LOGS = (
    "insert into request_log (id, at, organization_id, method, path, status, outcome, total_us, bytes_in, bytes_out, created_at)"
    " select gen_random_uuid(), date_trunc('day', now(), 'UTC') + i * interval '1 ms', md5('o' || 1 + i % 1000)::uuid, 'GET', '/x',"
    " 200, 'served', 1000, 0, 10, now() from generate_series(1, 10 * $1::int) i"
)
END = ("set session_replication_role = origin", "vacuum analyze")


async def fill(connection: Any, organizations: int) -> None:
    """Fill a migrated, empty database."""
    await run_all(connection, (*STATEMENTS, LOGS, *END), organizations)


async def run_all(connection: Any, statements: Sequence[str], organizations: int) -> None:
    """Run them one after another; $1 is the number of organizations."""
    for statement in statements:
        values = [organizations] if "$1" in statement else []
        await connection.execute(statement, *values, timeout=3600)
