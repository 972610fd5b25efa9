"""`paid-endpoint users erase`: a person who wants to be forgotten, on an operator's word."""

import json
import os
import subprocess
import sys
from pathlib import Path

import asyncpg
import pytest

from domain import organizations, plans
from domain.limit_texts import parse_limits
from tests.portals import SECRETS

ROOT = Path(__file__).resolve().parents[3]


@pytest.fixture
def users(fresh_database_url, tmp_path):
    environment = {
        **os.environ, "PYTHONPATH": str(ROOT), "DATABASE_URL": fresh_database_url, "SECRET_KEYS": SECRETS,
    }  # fmt: skip

    def run(*words):
        return subprocess.run(
            [sys.executable, "-m", "cli.main", "users", *words],
            check=False, env=environment, cwd=tmp_path, capture_output=True, text=True, timeout=60,
        )  # fmt: skip

    return run


@pytest.fixture
async def connection(fresh_database_url):
    made = await asyncpg.connect(fresh_database_url)
    yield made
    await made.close()


@pytest.fixture
async def ada(connection):
    """Alone in one organization, and the only owner of another that has a developer."""
    await plans.create(connection, slug="free", limits=parse_limits(["1000/hour"]))
    ids = [
        await connection.fetchval(
            "insert into users (username, password, email, first_name, last_name, active, admin, superuser)"
            " values ($1, 'x', $1, '', '', true, false, false) returning id",
            email,
        )
        for email in ("ada@example.com", "bob@example.com")
    ]
    for name, members in (("Alone", ((0, "owner"),)), ("Team", ((0, "owner"), (1, "developer")))):
        made = await organizations.create(connection, name=name, plan_slug="free")
        for who, role in members:
            await connection.execute(
                "insert into membership (organization_id, user_id, role) values ($1, $2, $3)", made.id, ids[who], role
            )
    return ids[0]


async def everything(connection):
    return [
        await connection.fetch(f"select t::text from {table} t order by 1")
        for table in ("users", "membership", "organization", "subscription", "outbox_message", "audit_entry")
    ]


async def test_erasing_says_what_it_does_and_a_dry_run_does_nothing(users, connection, ada):
    before = await everything(connection)
    words = ("erase", "Ada@Example.com", "--reason", "ticket 4711", "--successor", "bob@example.com")
    dry = users(*words, "--dry-run", "--json")
    assert dry.returncode == 0, dry.stderr
    assert await everything(connection) == before
    done = users(*words, "--json")
    assert done.returncode == 0, done.stderr
    told = {"email": "ada@example.com", "closed": ["Alone"], "left": ["Team"], "handed_over": ["Team"]}
    assert json.loads(dry.stdout) == {**told, "dry_run": True}
    assert json.loads(done.stdout) == {**told, "dry_run": False}
    assert await connection.fetch("select email from users") == [("bob@example.com",)]
    states = await connection.fetch("select name, state from organization order by name")
    assert states == [("Alone", "closed"), ("Team", "active")]
    entries = await connection.fetch("select verb, actor_name, reason from audit_entry order by verb")
    assert {row["verb"] for row in entries} == {"account.erase", "organization.close", "organization.transfer"}
    assert {row["reason"] for row in entries} == {"ticket 4711"}
    assert all(row["actor_name"].startswith("paid-endpoint by ") for row in entries)


async def test_refusals_say_how_to_go_on_and_change_nothing(users, connection, ada):
    before = await everything(connection)
    held = users("erase", "ada@example.com", "--reason", "x")
    assert (held.returncode, "only owner of Team" in held.stderr, "successor" in held.stderr) == (1, True, True)
    assert users("erase", "ada@example.com", "--reason", " ").returncode == 2
    unknown = users("erase", "nobody@example.com", "--reason", "x")
    assert (unknown.returncode, "no user nobody@example.com" in unknown.stderr) == (1, True)
    assert await everything(connection) == before
    await connection.execute("update users set admin = true, operator_role = 'admin' where id = $1", ada)
    operator = users("erase", "ada@example.com", "--reason", "x", "--successor", "bob@example.com")
    assert (operator.returncode, "operators dismiss ada@example.com" in operator.stderr) == (1, True)
