"""`audit` as scripts and operators run it."""

import json
from concurrent.futures import ThreadPoolExecutor

import asyncpg
import pytest
from typer.testing import CliRunner

from cli.main import app
from domain.audit import Actor, Thing, Verb, record
from domain.organizations import create
from domain.plans import create as create_plan
from tests.conftest import in_own_thread
from tests.databases import PEPPERS


@pytest.fixture
def command(fresh_database_url):
    """Runs a command in this process: a new one takes seconds on a busy machine."""

    def run(*arguments, status=0):
        environment = {"DATABASE_URL": fresh_database_url, "KEY_PEPPERS": PEPPERS}
        with ThreadPoolExecutor(1) as own:
            done = own.submit(CliRunner().invoke, app, ["audit", *arguments], env=environment).result()
        assert done.exit_code == status, done.output
        return done

    return run


@pytest.fixture
def data(command):
    return lambda *arguments, status=0: json.loads(command(*arguments, "--json", status=status).stdout)


@pytest.fixture
def in_database(fresh_database_url):
    def run(work):
        async def connected():
            connection = await asyncpg.connect(fresh_database_url)
            try:
                return await work(connection)
            finally:
                await connection.close()

        return in_own_thread(connected)

    return run


@pytest.fixture
def lived(in_database):
    async def live(connection):
        await create_plan(connection, slug="starter", limits=[])
        acme = await create(connection, name="Acme", plan_slug="starter")
        for number in range(5):
            key = Thing("api_key", str(number), f"key {number}\x1b[2J")
            await record(connection, Actor("user", 7, "ann@example.com"), Verb.KEY_CREATE, key, organization_id=acme.id)
        await record(connection, Actor(name="cli:root"), Verb.CONFIG_APPLY, Thing("plan", "starter", "starter"))

    in_database(live)


def tamper(in_database, statement):
    async def change(connection):
        async with connection.transaction():
            await connection.execute("set local session_replication_role = replica")
            return await connection.fetchval(statement)

    return in_database(change)


def test_list_by_who_what_and_whose(lived, data, command):
    everything = data("list")
    assert [row["verb"] for row in everything] == ["config.apply", *["key.create"] * 5]
    assert (everything[0]["sentence"], everything[0]["organization"]) == (
        "cli:root applied a file that changed starter",
        None,
    )
    for arguments, count in (
        (("--organization", "acme"), 5),
        (("--organization", "-"), 1),
        (("--actor", "ann@example.com"), 5),
        (("--actor", "7"), 5),
        (("--actor", "8"), 0),
        (("--object", "api_key:3"), 1),
        (("--verb", "key"), 5),
        (("--verb", "config.apply"), 1),
        (("--since", "1h"), 6),
        (("--since", "2000-01-01", "--limit", "2"), 2),
        (("--request-id", "none"), 0),
    ):
        assert len(data("list", *arguments)) == count, arguments
    shown = command("list", "--verb", "key").stdout
    assert "ann@example.com created the API key key 4" in shown
    assert "\x1b" not in shown


@pytest.mark.parametrize(
    "arguments",
    [
        ("list", "--object", "key"), ("list", "--since", "yesterday"), ("verify", "--since", "5m"), ("verify", "--expect", "ab"),
        ("verify", "--since", "2026-11-27", "--expect", "0" * 64), ("verify", "--since", "2026-11-27", "--until", "2026-11-26"),
    ],
)  # fmt: skip
def test_what_is_no_value_is_a_usage_error(command, arguments):
    command(*arguments, status=2)


def test_seal_and_verify(lived, command, data):
    assert data("verify", "--no-seal")["unsealed"] == 6
    assert data("seal") == {"sealed": 6}
    assert "Sealed: 0 entries." in command("seal").stdout
    found = data("verify")
    assert (found["sound"], found["verified"], found["unsealed"], found["breach"]) == (True, 6, 0, None)
    assert [row["position"] for row in data("list")] == [6, 5, 4, 3, 2, 1]
    assert data("verify", "--expect", found["head"])["sound"]
    assert "elsewhere" not in command("verify").stdout
    other = data("verify", "--expect", "ab" * 32, status=1)
    assert other["breach"]["kind"] == "rewritten"


def test_a_tampered_row_is_named_and_the_exit_status_is_1(lived, command, data, in_database):
    assert data("verify")["verified"] == 6
    entry = tamper(in_database, "update audit_entry set object_name = 'another' where object_id = '3' returning id")
    done = command("verify", status=1)
    assert f"Tampered: Entry {entry} at position 4" in done.stderr
    found = data("verify", status=1)
    assert (found["sound"], found["verified"], found["breach"]["position"]) == (False, 3, 4)
