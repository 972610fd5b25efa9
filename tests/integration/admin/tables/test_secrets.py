"""No secret leaves through the tables: planted in every column that could hold one, looked for in every answer."""

import secrets
from base64 import b64encode

import pytest

from admin.tables.shown import BY_NAME, TABLES
from schema.piccolo_app import APP_CONFIG
from tests.integration.admin.tables.asking import ask
from tests.job_rows import asynchronous_operation, write_job

MARK = "planted-secret-"
HIDDEN = {"idempotent_request": {"headers"}, "api_reply": {"key"}, "async_job": {"target"}}
BYTES_32 = f"{MARK}{'x' * 17}".encode()


def planted() -> bytes:
    """32 bytes that can be recognised, and are another each time."""
    return f"{MARK}{secrets.token_hex(9)[:17]}".encode()


@pytest.fixture
async def rows(office):
    """One row with a secret in each table that can hold one."""
    organization = await office.organization()
    user_id, _ = await office.user()
    execute, ids = office.pool.execute, (user_id, organization.id)
    await execute("update users set password = $2 where id = $1", user_id, f"{MARK}hash")
    await execute(
        "insert into portal_session (user_id, token_digest, expires_at) values ($1, $2, now() + interval '1 day')",
        user_id,
        planted(),
    )
    await execute(
        "insert into user_link (user_id, purpose, token_digest, email, expires_at)"
        " values ($1, 'verify_email', $2, 'a@example.com', now())",
        user_id,
        planted(),
    )
    await execute("insert into totp_factor (user_id, secret) values ($1, $2)", user_id, planted())
    await execute("insert into recovery_code (user_id, code_digest) values ($1, $2)", user_id, planted())
    await execute(
        "insert into access_token (user_id, organization_id, name, token_digest, last4) values ($1, $2, 'n', $3, 'abcd')",
        *ids,
        planted(),
    )
    await execute(
        "insert into invitation (organization_id, email, role, token_digest, expires_at)"
        " values ($1, 'b@example.com', 'viewer', $2, now())",
        organization.id,
        planted(),
    )
    await execute(
        "insert into bonus_claim (organization_id, mailbox_digest) values ($1, $2)", organization.id, planted()
    )
    await execute(
        "insert into outbox_message (template, recipient, content) values ('x', 'a@example.com', $1)", planted()
    )
    await execute(
        "insert into webhook_endpoint (organization_id, url, secret, old_secret)"
        " values ($1, 'https://a.example', $2, $2)",
        organization.id,
        planted(),
    )
    await execute(
        "insert into api_key (organization_id, name, scheme, prefix, last4, digest)"
        " values ($1, 'n', 'sha256', 'p', 'abcd', $2)",
        organization.id,
        planted(),
    )
    await execute(
        "insert into idempotent_request (id, organization_id, operation_id, holder_id, idempotency_key, fingerprint, state,"
        " status, headers, body, expires_at) values (gen_random_uuid(), $1, gen_random_uuid(), gen_random_uuid(), $3, $2,"
        " 'done', 200, $4::jsonb, $2, now())",
        organization.id,
        planted(),
        secrets.token_hex(8),
        f'[["set-cookie", "{MARK}"]]',
    )
    job = {"target": f"/x?token={MARK}", "fields": planted(), "body": planted()}
    await write_job(office.pool, organization.id, await asynchronous_operation(office.pool), **job)
    await execute(
        "insert into api_reply (scope, key, fingerprint) values ('s', $1, 'f')", f"{MARK}{secrets.token_hex(4)}"
    )
    return user_id


def test_every_secret_and_every_bytes_column_is_among_those_that_are_never_served():
    for table in APP_CONFIG.table_classes:
        shown = BY_NAME[table._meta.tablename]
        kept = {column._meta.name for column in table._meta.columns} - shown.served.keys()
        bytes_columns = {c._meta.name for c in table._meta.columns if c._meta.secret or c.value_type is bytes}
        assert kept == bytes_columns | HIDDEN.get(shown.name, set()), shown.name


async def test_no_answer_about_any_table_holds_a_secret(office, superuser, rows):
    needles = [MARK, MARK.encode().hex(), b64encode(BYTES_32)[:16].decode()]
    looked = 0
    for shown in TABLES:
        key = shown.table._meta.primary_key._meta.name
        ids = (await ask(superuser.browser, f"{shown.name}/", __page_size="1000", __readable="true")).json()["rows"]
        for path in ("", "ids/", "schema/", "new/", "count/", "references/", *(f"{row[key]}/" for row in ids[-20:])):
            answer = await ask(
                superuser.browser, f"{shown.name}/{path}", **({"__readable": "true"} if not path else {})
            )
            assert answer.status_code == 200, (shown.name, path, answer.text)
            looked += 1
            assert not any(needle in answer.text for needle in needles), (shown.name, path)
    assert looked > 6 * len(TABLES)


async def test_no_secret_can_be_asked_for_compared_or_ordered_by(superuser):
    for table in APP_CONFIG.table_classes:
        shown = BY_NAME[table._meta.tablename]
        for column in {column._meta.name for column in table._meta.columns} - shown.served.keys():
            for query in (
                {"__visible_fields": f"id,{column}"}, {"__order": column}, {"__order": f"-{column}"},
                {column: "x"}, {f"{column}__operator": "is_null"}, {f"{column}__match": "starts", column: "x"},
                {f"{column}[]": "x"},
            ):  # fmt: skip
                for path in (f"{shown.name}/", f"{shown.name}/count/"):
                    answer = await ask(superuser.browser, path, **query)
                    assert answer.status_code == 400, (path, query, answer.text)


async def test_no_secret_of_another_table_is_reached_by_a_join(superuser):
    for name in ("user_id.password", "organization_id.id", "user_id.id"):
        answer = await ask(superuser.browser, "membership/", __visible_fields=name)
        assert answer.status_code == 400


async def test_the_description_of_a_table_does_not_name_what_is_never_served(superuser):
    schema = (await ask(superuser.browser, "users/schema/")).json()
    assert "password" not in schema["properties"]
    assert "password" not in schema["extra"]["visible_fields_options"]
    assert "change nothing" not in schema["extra"]["help_text"]
    large = (await ask(superuser.browser, "request_log/schema/")).json()
    assert "estimate" in large["extra"]["help_text"]
    assert "change nothing" in large["extra"]["help_text"]
