"""A database in which every job has something to do, and what of it the jobs decide: the same for two copies of it."""

import json
import secrets
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID, uuid4

from domain import keys, organizations, plans
from domain.audit import Actor, Thing, Verb, record
from domain.credits.granting import grant
from domain.histogram import BUCKETS
from domain.ingesting.grains import EVERY
from domain.limit_texts import parse_limits
from domain.partitions import ensure_partitions
from domain.settings import KeySettings
from tests.credits.holding import HOLD, LEND
from tests.databases import PEPPERS
from tests.request_rows import write_request

DAY = timedelta(days=1)
LOG_DAYS = 7


async def build(connection: Any) -> None:
    """Make it, relative to now."""
    ids = [await _organization(connection, number) for number in range(6)]
    await _subscriptions(connection, ids)
    await _credits(connection, ids)
    await _logs(connection, ids)
    await _stale(connection, ids)
    await _used(connection, ids)
    await _chosen(connection, ids)
    await _jobs(connection, ids)


async def _organization(connection: Any, number: int) -> UUID:
    slug = f"world-{number}"
    await plans.create(
        connection, slug=slug, limits=parse_limits(["1000/hour", "1000/month"]), price_cents=100 * number, grace_days=2
    )
    made = await organizations.create(connection, name=slug, plan_slug=slug)
    email = f"owner{number}@example.com"
    user_id = await connection.fetchval(
        "insert into users (username, password, email, first_name, last_name, active, admin, superuser,"
        " email_verified_at) values ($1, 'x', $1, '', '', true, false, false, now()) returning id",
        email,
    )
    await connection.execute(
        "insert into membership (organization_id, user_id, role) values ($1, $2, 'owner')", made.id, user_id
    )
    settings = KeySettings(peppers=PEPPERS)
    await keys.create(connection, settings, organization_id=made.id, name="key")
    return made.id


async def _subscriptions(connection: Any, ids: list[UUID]) -> None:
    """Due: 0 free, 1 paid, 2 in a trial that ended, 3 cancelled. To be reminded: 4 of its trial, 5 of its period."""
    changes = (
        (0, "active", -1, None, None), (1, "active", -1, None, None), (2, "trialing", -1, -1, None),
        (3, "active", 5, None, -1), (4, "trialing", 2, 2, None), (5, "active", 2, None, None),
    )  # fmt: skip
    for number, state, end, trial_end, cancel in changes:
        await connection.execute(
            "update subscription set state = $2, started_at = now() - interval '29 days',"
            " period_start = now() - interval '29 days', period_end = now() + $3 * interval '1 day',"
            " trial_ends_at = now() + $4 * interval '1 day', cancel_at = now() + $5 * interval '1 day'"
            " where organization_id = $1",
            ids[number],
            state,
            end,
            trial_end,
            cancel,
        )


async def _credits(connection: Any, ids: list[UUID]) -> None:
    for organization_id in ids[:4]:
        await grant(connection, organization_id, amount_micro=5_000_000, reason="stays")
        soon = datetime.now(UTC) + timedelta(hours=1)
        await grant(connection, organization_id, amount_micro=3_000_000, reason="expires", expires_at=soon)
        holder, closed = uuid4(), uuid4()
        await connection.execute("insert into credit_holder (id) values ($1)", holder)
        await connection.execute(
            "insert into credit_holder (id, closed_at) values ($1, now() - interval '8 days')", closed
        )
        await connection.execute(
            "insert into credit_lease (organization_id, holder_id, amount_micro, spent_micro, returned_micro)"
            " values ($1, $2, 10, 4, 6)",
            organization_id,
            closed,
        )
        await connection.fetchval(LEND, organization_id, holder, 1_000_000)
        await connection.fetchval(HOLD, uuid4(), organization_id, holder, 700_000)
    await connection.execute(
        "update credit_grant set expires_at = now() - interval '1 second' where expires_at is not null"
    )
    await connection.execute("update credit_reservation set deadline = now() - interval '1 minute'")


async def _logs(connection: Any, ids: list[UUID]) -> None:
    today = datetime.now(UTC).date()
    await ensure_partitions(connection, today - LOG_DAYS * DAY, today)
    for number in range(LOG_DAYS * 12):
        await write_request(
            connection,
            ids[number % 3],
            ago=(1 + number % LOG_DAYS) * DAY,
            key_id=UUID(int=number % 4),
            total_us=100 * number,
            cost_micro=0,
        )


async def _used(connection: Any, ids: list[UUID]) -> None:
    """0, 4 and 5 have used nine tenths of their month, all of it today; 0 has endpoints that want to know."""
    for number in (0, 4, 5):
        await connection.execute(
            "insert into usage_rollup (organization_id, key_id, service_id, operation_id, bucket, grain, status_class, requests)"
            " values ($1, $2, $2, $2, date_trunc('day', now(), 'UTC'), 'day', 2, 900)",
            ids[number],
            UUID(int=0),
        )
        await connection.execute(
            "insert into organization_usage (grain, bucket, organization_id, requests)"
            " values ('day', date_trunc('day', now(), 'UTC'), $1, 900)",
            ids[number],
        )


async def _chosen(connection: Any, ids: list[UUID]) -> None:
    """0 wants to know what fails and what a day costs, and all of it does."""
    await connection.execute(
        "insert into alert_choice (organization_id, usage_percents, day_cost_micro, error_percent, error_requests)"
        " values ($1, '{50,80,100}', 1, 10, 10)",
        ids[0],
    )
    await connection.execute("update usage_rollup set cost_micro = 5 where organization_id = $1", ids[0])
    await connection.execute(
        "insert into usage_summary (organization_id, key_id, service_id, operation_id, bucket, grain, status_class, requests,"
        " errors, refused, bytes_in, bytes_out, upstream_us_sum, total_us_sum, cost_micro, latency)"
        " values ($1, $2, $2, $2, date_trunc('hour', now(), 'UTC'), 'hour', 5, 100, 100, 0, 0, 0, 0, 0, 5, $3)",
        ids[0],
        EVERY,
        [0] * BUCKETS,
    )


async def _jobs(connection: Any, ids: list[UUID]) -> None:
    """Jobs that ended today, 20 and 100 days ago, two of each with a result; one that was closed by plain SQL has one that is open."""
    closed = (await organizations.create(connection, name="closed", plan_slug="world-0")).id
    for days in (0, 20, 100):
        for number, (status, reason, result) in enumerate(
            (("completed", "", b"1"), ("completed", "", b"2"), ("failed", "overdue", None))
        ):
            await _job(connection, ids[number], days, status=status, reason=reason, result=result)
    await _job(connection, closed, 0, status="completed", reason="", result=b"3")
    await _job(connection, closed, 50, status="failed", reason="overdue", result=None)
    await _job(connection, closed, None, status="pending", reason="", result=None)
    await connection.execute("update organization set state = 'closed' where id = $1", closed)


async def _job(connection: Any, owner: UUID, days: int | None, **columns: Any) -> None:
    await connection.execute(
        "insert into async_job (id, organization_id, key_id, service_id, operation_id, request_id, deadline, method, target,"
        " ended_at, status, reason, result) values ($1, $2, $1, $1, $1, $1, now() + interval '1 hour', 'POST', '/',"
        " now() - $3 * interval '1 day', $4, $5, $6)",
        uuid4(), owner, days, columns["status"], columns["reason"], columns["result"],
    )  # fmt: skip


async def _stale(connection: Any, ids: list[UUID]) -> None:
    user_id = await connection.fetchval("select min(id) from users")
    for number in range(9):
        await record(connection, Actor(name="world"), Verb.KEY_CREATE, Thing("key", str(number)))
    for number in range(3):
        digest = secrets.token_bytes(32)
        ago = timedelta(days=100 if number else 0)
        then = datetime.now(UTC) - ago
        ahead = then + timedelta(days=1)
        rows: list[tuple[str, tuple]] = [
            ("portal_session (user_id, token_digest, expires_at) values ($1, $2, $3)", (user_id, digest, ahead)),
            (
                "user_link (user_id, purpose, token_digest, email, expires_at) values ($1, 'reset_password', $2, 'x', $3)",
                (user_id, digest, ahead),
            ),
            (
                ("access_token (user_id, organization_id, name, token_digest, last4, expires_at)"
                " values ($1, $2, 'x', $3, 'abcd', $4)"),
                (user_id, ids[0], digest, ahead),
            ),
            (
                "invitation (organization_id, email, role, token_digest, expires_at) values ($1, $2, 'viewer', $3, $4)",
                (ids[0], f"i{number}@example.com", digest, ahead),
            ),
            (
                "api_reply (scope, key, fingerprint, created_at) values ('s', $1, 'f', $2)",
                (str(number), then),
            ),
            (
                "outbox_message (template, recipient, content, state, ended_at) values ('x', 'x', '', 'delivered', $1)",
                (then,),
            ),
            (
                ("idempotent_request (id, organization_id, operation_id, holder_id, idempotency_key, fingerprint, state,"
                " status, expires_at) values ($1, $2, $1, $1, $3, $4, 'done', 200, $5)"),
                (uuid4(), ids[0], str(number), digest, ahead),
            ),
            ("notice (organization_id, kind, about, created_at) values ($1, 'x', $2, $3)",
             (ids[0], str(number), then - 9 * ago)),
            ("alert_state (organization_id, kind, subject, name, level, period_ends) values ($1, 'usage', $2, 'x', 80, $3)",
             (ids[0], f"gone/{number}", then)),
        ]  # fmt: skip
        for statement, values in rows:
            await connection.execute(f"insert into {statement}", *values)
        await connection.execute(
            "insert into trial_claim (organization_id, email) values ($1, $2)",
            ids[number],
            f"tried{number}@example.com",
        )
        endpoint_id, event_id = uuid4(), uuid4()
        await connection.execute(
            "insert into webhook_endpoint (id, organization_id, url, secret) values ($1, $2, 'https://x.example', '')",
            endpoint_id,
            ids[0],
        )
        await connection.execute(
            "insert into webhook_event (id, organization_id, type, payload, created_at) values ($1, $2, 'x', '{}', $3)",
            event_id,
            ids[0],
            then,
        )
        await connection.execute(
            "insert into webhook_delivery (event_id, endpoint_id, organization_id, state, created_at, ended_at)"
            " values ($1, $2, $3, 'delivered', $4, $4)",
            event_id,
            endpoint_id,
            ids[0],
            then,
        )


_COUNTED = (
    "portal_session", "user_link", "access_token", "invitation", "api_reply", "idempotent_request", "webhook_delivery",
    "webhook_event", "credit_lease", "api_key", "users",
)  # fmt: skip
_SEEN = {
    "subscriptions": "select organization_id, plan_id, state, period_start, period_end, ended_at, cancel_at,"
    " trial_ends_at from subscription",
    "accounts": "select organization_id, balance_micro, leased_micro, reserved_micro, expiries_micro, entries"
    " from credit_account",
    "entries": "select organization_id, number, type, amount_micro, balance_after_micro from credit_entry",
    "grants": "select id, remaining_micro from credit_grant",
    "reservations": "select id, state, settled_micro from credit_reservation",
    "leases": "select id, amount_micro, spent_micro, returned_micro from credit_lease",
    "jobs": "select organization_id, status, reason, result, ended_at::date from async_job",
    "notices": "select organization_id, kind, about from notice",
    "alerts": "select kind, subject, level, changes, value, threshold from alert_state",
    "mails": "select template, recipient, state from outbox_message",
    "claims": "select organization_id, email from trial_claim",
    "summaries": "select day, edition, organization_id, key_id, service_id, operation_id, requests, errors, refused,"
    " status_classes, bytes_in, bytes_out, total_us_sum, total_us_max, cost_micro, latency from log_summary",
    "days": "select day, edition, rows, dropped_at is null from log_day",
    "partitions": "select inhrelid::regclass::text from pg_inherits where inhparent = 'request_log'::regclass",
    "logs": "select id from request_log",
    "sealed": "select l.position is not null from audit_entry e left join audit_link l on l.entry_id = e.id"
    " where e.actor_name = 'world'",
    "unsealed": "select count(*) from audit_unsealed u join audit_entry e on e.id = u.entry_id where e.actor_name = 'world'",
    **{name: f"select count(*) from {name}" for name in _COUNTED},
}


async def picture(connection: Any) -> dict[str, list[str]]:
    """All that jobs decide, without ids and times that are new at every run."""
    return {
        name: sorted(json.dumps([str(value) for value in row]) for row in await connection.fetch(statement))
        for name, statement in _SEEN.items()
    }
