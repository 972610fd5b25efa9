"""One of everything that an organization can own, each with a name that must never be seen by others."""

import secrets
from typing import Any
from uuid import UUID, uuid4

from domain import keys, operations, services
from domain.credits.granting import grant
from domain.request_ids import new_request_id
from tests.job_rows import write_job

MARK = "belongs-to-somebody-else"

SQL_OF: dict[str, str] = {
    "invitation_id": "insert into invitation (organization_id, email, role, token_digest, expires_at)"
    " values ($1, $2 || '@example.com', 'viewer', $3, now() + interval '7 days') returning id",
    "endpoint_id": "insert into webhook_endpoint (organization_id, url, description, secret)"
    " values ($1, 'https://' || $2 || '.example.com/hook', $2, $3) returning id",
}


async def belongings(portal: Any, person: Any) -> dict[str, Any]:
    """Ids by the names that paths use."""
    organization_id, mark = person.organization.id, f"{MARK}-{secrets.token_hex(3)}"
    async with portal.pool.acquire() as connection:
        made = await keys.create(connection, portal.settings.keys, organization_id=organization_id, name=mark)
        found: dict[str, Any] = {"key_id": made.record.id, "user_id": person.user_id, "mark": mark}
        for name, statement in SQL_OF.items():
            found[name] = await connection.fetchval(statement, organization_id, mark, secrets.token_bytes(32))
        found["delivery_id"] = await _delivery(connection, organization_id, found["endpoint_id"], mark)
        found["request_id"] = await _request(connection, organization_id, made.record.id, mark)
        found["entry_id"] = (
            await grant(connection, organization_id, amount_micro=1_000_000, reason=mark, reference=mark)
        ).entry.id
        await _entry(connection, organization_id, person, mark)
        found |= await _common(connection)
        job = {"key_id": made.record.id, "message": mark, "target": f"/{mark}", "status": "completed"}
        operation = await operations.fetch_operation(connection, found["operation"])
        found["job_id"] = await write_job(connection, organization_id, operation, **job, result=mark.encode())
    return found


async def _delivery(connection: Any, organization_id: UUID, endpoint_id: UUID, mark: str) -> UUID:
    event_id = await connection.fetchval(
        "insert into webhook_event (organization_id, type, payload)"
        " values ($1, 'key.created', jsonb_build_object('type', 'key.created', 'data', $2::text)) returning id",
        organization_id,
        mark,
    )
    return await connection.fetchval(
        "insert into webhook_delivery (event_id, endpoint_id, organization_id, state, ended_at)"
        " values ($1, $2, $3, 'failed', now()) returning id",
        event_id,
        endpoint_id,
        organization_id,
    )


async def _request(connection: Any, organization_id: UUID, key_id: UUID, mark: str) -> UUID:
    request_id = UUID(str(new_request_id()))
    await connection.execute(
        "insert into request_log (id, at, organization_id, key_id, method, path, status, outcome, total_us, bytes_in,"
        " bytes_out) values ($1, now(), $2, $3, 'GET', '/' || $4, 200, 'served', 1000, 0, 10)",
        request_id,
        organization_id,
        key_id,
        mark,
    )
    return request_id


async def _common(connection: Any) -> dict[str, Any]:
    """What is everybody's: a service with an operation, as paths name them."""
    slug = f"common-{secrets.token_hex(4)}"
    await services.create(connection, slug=slug, prefix=f"/{slug}", upstreams=["http://127.0.0.1:9"], name="Common")
    made = await operations.create(
        connection, service_slug=slug, method="GET", path_pattern="/things/{thing}", name="get-thing", price_micro=1_000
    )
    return {"service": slug, "operation": made.id}


async def _entry(connection: Any, organization_id: UUID, person: Any, mark: str) -> None:
    await connection.execute(
        "insert into audit_entry (organization_id, actor_kind, actor_id, actor_name, verb, object_type, object_id,"
        " object_name) values ($1, 'user', $2, $3, 'key.create', 'key', $4, $3)",
        organization_id,
        person.user_id,
        mark,
        str(uuid4()),
    )


TENANT_TABLES = """
select c.table_name from information_schema.columns c join information_schema.tables t using (table_schema, table_name)
 where c.table_schema = 'public' and c.column_name = 'organization_id' and t.table_type = 'BASE TABLE'
   and c.table_name not like 'request\\_log\\_%' order by 1
"""


async def fingerprint(portal: Any, organization_id: UUID) -> dict[str, str]:
    """A digest of every row of an organization, by table."""
    async with portal.pool.acquire() as connection:
        tables = [row["table_name"] for row in await connection.fetch(TENANT_TABLES)]
        digests = {}
        for table in [*tables, "organization"]:
            column = "id" if table == "organization" else "organization_id"
            digests[table] = await connection.fetchval(
                f"select md5(coalesce(string_agg(r::text, '|' order by r::text), '')) from {table} r"
                f" where r.{column} = $1",
                organization_id,
            )
    return digests
