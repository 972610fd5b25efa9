"""`credits` as scripts and operators run it."""

import json
import os
import secrets
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from uuid import UUID, uuid4

import asyncpg
import pytest
from typer.testing import CliRunner

from cli.main import app
from domain.migrating import ROOT
from tests.conftest import in_own_thread
from tests.databases import PEPPERS
from tests.integration.domain.credits.accounts import become_due, serve


@pytest.fixture
def environment(fresh_database_url):
    return {"DATABASE_URL": fresh_database_url, "KEY_PEPPERS": PEPPERS}


@pytest.fixture
def command(environment):
    """Runs a command in this process: a new one takes seconds on a busy machine."""

    def run(*arguments, status=0):
        with ThreadPoolExecutor(1) as own:
            done = own.submit(CliRunner().invoke, app, arguments, env=environment).result()
        assert done.exit_code == status, done.output
        return done

    return run


@pytest.fixture
def data(command):
    def run(*arguments, status=0):
        return json.loads(command("credits", *arguments, "--json", status=status).stdout)

    return run


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
def slug(in_database):
    name = f"acme-{secrets.token_hex(3)}"
    in_database(lambda connection: connection.execute("insert into organization (slug, name) values ($1, 'A')", name))
    return name


def test_the_forms_that_scripts_rely_on(data, slug):
    granted = data("grant", slug, "5.00", "--reason", "a test")
    assert (granted["amount_micro"], granted["amount"], granted["balance_after"]) == (5_000_000, "5", "5")
    assert (granted["type"], granted["reason"], granted["organization"]) == ("bonus", "a test", slug)
    assert granted["actor"].startswith("cli")
    balance = data("balance", slug)
    assert (balance["balance_micro"], balance["balance"], balance["available"]) == (5_000_000, "5", "5")
    assert (balance["leased_micro"], balance["reserved_micro"], balance["next_expiry_at"]) == (0, 0, None)
    assert [entry["id"] for entry in data("ledger", slug)] == [granted["id"]]
    proof = data("reconcile")
    assert (proof["adds_up"], proof["accounts"], proof["entries"], proof["drifts"]) == (True, 1, 1, [])


def test_the_command_line_as_a_process(environment, tmp_path, slug):
    done = subprocess.run(
        [sys.executable, "-m", "cli.main", "credits", "adjust", slug, "-1", "--reason", "r"],
        cwd=tmp_path,
        env={**os.environ, **environment, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr == "Error: 1 credits cannot be taken: 0 of 0 are available.\n"


def test_an_operators_day(command, data, slug, in_database):
    paid = ("grant", slug, "10", "--type", "purchase", "--reason", "Invoice 17", "--reference", "pay_17")
    purchase = data(*paid, "--idempotency-key", "event-1")
    assert data(*paid, "--idempotency-key", "event-1") | {"replayed": False} == purchase
    again = command("credits", *paid, "--idempotency-key", "event-1")
    assert "nothing moved" in again.stderr
    other = ("grant", slug, "11", "--reason", "x", "--idempotency-key", "event-1")
    assert "was used for another change" in command("credits", *other, status=1).stderr

    given = data("grant", slug, "2", "--reason", "sorry", "--expires-in", "30d", "--priority", "5")
    assert data("balance", slug)["next_expiry"] == "2"
    assert data("adjust", slug, "-1.5", "--reason", "too much")["amount_micro"] == -1_500_000
    assert data("adjust", slug, "+0.5", "--reason", "too little")["amount"] == "0.5"
    assert "are available" in command("credits", "adjust", slug, "-11.000001", "--reason", "r", status=1).stderr

    back = data("refund", purchase["id"], "4", "--reason", "asked for")
    assert (back["amount"], back["refund_of"], back["balance_after"]) == ("-4", purchase["id"], "7")
    assert "only a purchase or usage" in command("credits", "refund", given["id"], "--reason", "r", status=1).stderr

    in_database(lambda connection: become_due_of(connection, slug))
    assert data("expire") == {"entries": 1, "amount_micro": 500_000, "amount": "0.5"}
    assert "0 credits of 0 grants" in command("credits", "expire").stdout

    rows = data("ledger", slug, "--limit", "4")
    assert [row["type"] for row in rows] == ["expiry", "refund", "adjustment", "adjustment"]
    older = data("ledger", slug, "--limit", "4", "--before", str(rows[-1]["number"]))
    assert [row["type"] for row in older] == ["bonus", "purchase"]
    assert [row["amount"] for row in data("ledger", slug, "--type", "refund")] == ["-4"]
    table = command("credits", "ledger", slug, "--limit", "4")
    assert f"--before {rows[-1]['number']}" in table.stderr
    assert rows[0]["id"] in table.stdout
    assert "6.5" in command("credits", "balance", slug).stdout


async def become_due_of(connection, slug):
    await become_due(connection, await connection.fetchval("select id from organization where slug = $1", slug))


def test_a_request_is_traced_to_its_entry_and_back(command, data, slug, in_database):
    data("grant", slug, "1", "--reason", "r")

    async def requests(connection):
        owner = await connection.fetchval("select id from organization where slug = $1", slug)
        [entry] = await serve(connection, {owner: [100_000, 250_000, 0]}, held="")
        return entry.id, [
            row["id"] for row in await connection.fetch("select id from request_log where cost_micro > 0")
        ]

    entry_id, request_ids = in_database(requests)
    entry = data("trace", str(entry_id))
    assert (entry["amount"], entry["requests"]) == ("-0.35", 2)
    assert sorted(row["cost"] for row in entry["charged"]) == ["0.1", "0.25"]
    for request_id in request_ids:
        assert data("trace", str(request_id)) == entry
    assert str(request_ids[0]) in command("credits", "trace", str(request_ids[1])).stdout
    assert "No ledger entry" in command("credits", "trace", str(uuid4()), status=1).stderr


def test_reconcile_names_the_drift_and_fails(command, data, slug, in_database):
    data("grant", slug, "1", "--reason", "r")
    in_database(lambda connection: connection.execute("update credit_grant set remaining_micro = 7"))
    found = data("reconcile", status=1)
    assert found["adds_up"] is False
    assert [(drift["organization"], drift["expected"], drift["found"]) for drift in found["drifts"]] == [
        (slug, 7, 1_000_000)
    ]
    table = command("credits", "reconcile", status=1).stdout
    assert slug in table
    assert "balance, by what remains of the grants" in table


@pytest.mark.parametrize(
    ("arguments", "status"),
    [
        (("grant", "no-such", "5", "--reason", "r"), 1),
        (("balance", "no-such"), 1),
        (("ledger", "no-such"), 1),
        (("refund", str(uuid4()), "--reason", "r"), 1),
        (("grant", "SLUG", "-5", "--reason", "r"), 2),
        (("grant", "SLUG", "0", "--reason", "r"), 2),
        (("grant", "SLUG", "5"), 2),
        (("grant", "SLUG", "5", "--reason", "r", "--type", "usage"), 2),
        (("grant", "SLUG", "5", "--reason", "r", "--expires-in", "soon"), 2),
        (("adjust", "SLUG", "-+5", "--reason", "r"), 2),
        (("adjust", "SLUG", "0", "--reason", "r"), 2),
    ],
)
def test_what_cannot_be_is_a_sentence_and_a_status(command, slug, arguments, status):
    done = command("credits", *(slug if part == "SLUG" else part for part in arguments), status=status)
    assert done.stderr
    assert "Traceback" not in done.stderr


def test_what_a_lost_worker_holds_is_listed_and_given_back(command, data, in_database):
    from domain.credits.leasing import Ask, grant

    command("plans", "create", "lost", "--limit", "10/hour")
    made = json.loads(command("organizations", "create", "--name", "Lost", "--plan", "lost", "--json").stdout)
    data("grant", made["slug"], "5", "--reason", "test")
    worker = uuid4()

    async def lend(connection):
        await grant(connection, worker, [Ask(UUID(made["id"]), 1, need=3_000_000)])

    in_database(lend)
    (holder,) = data("holders")
    assert (holder["id"], holder["leased_micro"], holder["reserved_micro"]) == (str(worker), 3_000_000, 0)
    assert data("release", str(worker))["leased_micro"] == 3_000_000
    assert data("holders") == []
    assert data("balance", made["slug"])["leased_micro"] == 0
    command("credits", "release", str(worker), status=1)
