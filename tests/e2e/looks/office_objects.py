"""One of everything that a page of the back office can be about, with the longest names, and enough of each for a second page."""

import json
import re
import secrets
from typing import Any
from uuid import UUID

from domain import keys, organizations, plans
from domain.credits.granting import grant
from domain.job_runs import publish
from domain.limit_texts import parse_limits
from domain.request_ids import new_request_id
from jobs.registry import JOBS
from tests.e2e.looks.office import OfficeSite
from tests.e2e.looks.office_alerts import many_alerts
from tests.job_rows import asynchronous_operation, write_job

LONG_NAME = "Donaudampfschifffahrtsgesellschaftskapitänswitwenundwaisenversorgungskassenverwaltungsangestelltenvertretungsbüro GmbH &"
"""Of 120 characters, with a word that no line has room for."""
MANY = 60


async def office_objects(site: OfficeSite) -> dict[str, Any]:
    """What fills the parameter of each page, by its pattern."""
    async with site.office.pool.acquire() as connection:
        plan, organization = await _sold(connection)
        user_id = await _person(connection, organization.id)
        key_id = await _keys(connection, site, organization.id)
        request_id = await _requests(connection, organization.id, key_id)
        await grant(connection, organization.id, amount_micro=9_999_999_999_999, reason=LONG_NAME)
        await connection.execute(
            "insert into webhook_endpoint (organization_id, url, description, secret) values ($1, $2, $3, $4)",
            organization.id,
            f"https://{'long-' * 10}host.example.com/{'segment/' * 40}",
            LONG_NAME,
            secrets.token_bytes(32),
        )
        job_id = await _async_jobs(connection, organization.id, key_id)
        run_id = await _run(connection)
        await many_alerts(connection, organization.id, LONG_NAME, 4)
    await site.operator.browser.act(
        "override-limit", LONG_NAME * 4, organization=organization.slug, limit="day", amount="999999999"
    )
    sent = await site.operator.browser.act("send-test-mail")
    found = re.search(r"/mails/([^\"]+)\"", sent.text)
    assert found, sent.text
    return {
        "/organizations/{slug}": organization.slug,
        "/organizations/{slug}/keys": organization.slug,
        "/plans/{slug}": plan,
        "/users/{user_id:int}": user_id,
        "/keys/{key_id:uuid}": key_id,
        "/requests/{request_id:uuid}": request_id,
        "/jobs/{run_id:uuid}": run_id,
        "/async-jobs/{job_id:uuid}": job_id,
        "/mails/{message_id}": found[1],
    }


async def _sold(connection: Any) -> tuple[str, organizations.OrganizationRecord]:
    """A plan with many limits, and organizations on it; those without requests are on it too."""
    slug = f"{'long-' * 11}{secrets.token_hex(3)}"
    limits = parse_limits(["5/second", "100/minute per key", "1000/hour", "999999999999/day"], ["10/second per key"])
    await plans.create(
        connection, slug=slug, name=LONG_NAME, limits=limits, description=LONG_NAME * 4, price_cents=99_999_999
    )
    made = [
        await organizations.create(
            connection, name=LONG_NAME, plan_slug=slug, slug=f"{'long-' * 10}{secrets.token_hex(5)}"
        )
        for _ in range(MANY)
    ]
    return slug, made[-1]


async def _person(connection: Any, organization_id: UUID) -> int:
    email = f"{'x' * 60}-{secrets.token_hex(2)[:3]}@{'long-' * 10}domain.example.com"
    user_id: int = await connection.fetchval(
        "insert into users (username, email, password, first_name, last_name, active)"
        " values ($1, $1, '!', $2, $2, true) returning id",
        email,
        LONG_NAME[:50],
    )
    await connection.execute(
        "insert into membership (organization_id, user_id, role) values ($1, $2, 'owner')", organization_id, user_id
    )
    return user_id


async def _keys(connection: Any, site: OfficeSite, organization_id: UUID) -> UUID:
    for _ in range(MANY):
        made = await keys.create(
            connection,
            site.office.settings.keys,
            organization_id=organization_id,
            name=LONG_NAME,
            scopes=["weather:forecast"],
            allowed_ips=["2001:db8:1234:5678:9abc:def0:1234:5678"],
        )
    return made.record.id


async def _requests(connection: Any, organization_id: UUID, key_id: UUID) -> UUID:
    """Many that were refused, each with a long path; the id of the last."""
    for _ in range(MANY):
        request_id = UUID(str(new_request_id()))
        await connection.execute(
            "insert into request_log (id, at, organization_id, key_id, method, path, query, status, outcome, refusal,"
            " limit_name, total_us, bytes_in, bytes_out, user_agent)"
            " values ($1, now(), $2, $3, 'DELETE', $4, $5, 429, 'refused', 'rate_limited', 'minute-key', 123456789, 0,"
            " 999999999, $6)",
            request_id,
            organization_id,
            key_id,
            "/" + "segment-that-goes-on-" * 20,
            "q=" + "y" * 400,
            "Agent/" + "z" * 200,
        )
    return request_id


async def _async_jobs(connection: Any, organization_id: UUID, key_id: UUID) -> UUID:
    """Many that wait, with all that a service may say; the id of the last."""
    operation = await asynchronous_operation(connection, name=LONG_NAME[:100])
    columns = {
        "key_id": key_id, "message": "m" * 500, "last_error": "The service answered 503. " * 19, "attempts": 99_999,
        "target": "/" + "segment-that-goes-on-" * 20, "working": True, "price_micro": 9_999_999_999_999,
    }  # fmt: skip
    for number in reversed(range(MANY)):
        failing = {"status": "failed", "error": "e" * 1_000, "working": False}
        job_id = await write_job(
            connection, organization_id, operation, **{**columns, **(failing if number % 2 else {})}
        )
    return job_id


async def _run(connection: Any) -> UUID:
    await publish(connection, [job.record for job in JOBS])
    for _ in range(MANY):
        run_id: UUID = await connection.fetchval(
            "insert into job_run (name, ticket, state, started_at, ended_at, error, result, progress, worker,"
            " requested_by) values ('stale-rows', gen_random_uuid()::text, 'failed', now(), now(), $1, $2, $3, $4, $4)"
            " returning id",
            "the-server-closed-the-connection-" * 12,
            json.dumps({"rows": 123456789012, "names": [LONG_NAME]}),
            json.dumps({"done": 3, "of": 1_000_000, "what": "rows"}),
            LONG_NAME,
        )
    return run_id
