"""Whatever a command changes stands in the audit, once, by whom and with what changed; and no command is left out."""

import json
from concurrent.futures import ThreadPoolExecutor
from uuid import uuid4

import asyncpg
import pytest
import typer
from typer.testing import CliRunner

from cli.main import app
from tests.conftest import in_own_thread
from tests.databases import PEPPERS
from tests.portals import SECRETS

# In the order in which they can be done to one new installation; `{}` is what an earlier one has printed.
CHANGES = [
    ("plan.create", "plans create pro --limit 1000/hour --price-cents 500 --trial-days 7"),
    ("plan.create", "plans create free --limit 100/hour"),
    ("plan.change", "plans change pro --price-cents 900 --reason dearer"),
    ("service.create", "services create air --prefix /air --upstream http://127.0.0.1:8000"),
    ("service.change", "services change air --category Weather --reason shown"),
    ("operation.create", "operations create air --method GET --path /now --name now --credits 0.1"),
    ("operation.change", "operations change {operation} --credits 0.2"),
    ("organization.create", "organizations create --name Acme --plan free"),
    ("organization.change", "organizations change acme --name Acme-Ltd"),
    ("organization.suspend", "organizations suspend acme --reason unpaid"),
    ("organization.restore", "organizations restore acme --reason paid"),
    ("spend_cap.change", "organizations set-cap acme --day 5"),
    ("limit.override", "organizations override-limit acme hour --amount 500 --reason launch"),
    ("limit.end_override", "organizations drop-override acme hour"),
    ("subscription.change", "organizations change-plan acme --plan pro"),
    ("subscription.change", "subscriptions change acme --plan free --at-once --reason cheaper"),
    ("subscription.change", "subscriptions start-trial acme --plan pro --email ada@example.com"),
    ("subscription.extend", "subscriptions extend-trial acme --by 7d"),
    ("subscription.cancel", "subscriptions cancel acme"),
    ("subscription.resume", "subscriptions reactivate acme"),
    ("key.create", "keys create --organization acme --name CI"),
    ("key.change", "keys rename {key} --name CI2"),
    ("key.change", "keys restrict {key} --allow-ip 10.0.0.0/8"),
    ("spend_cap.change", "keys set-cap {key} --day 1"),
    ("key.rotate", "keys rotate {key}"),
    ("key.revoke", "keys revoke {key} --reason leaked"),
    ("key.import", f"keys import --organization acme --name old --sha256 {'ab' * 32}"),
    ("credits.grant", "credits grant acme 5 --type purchase --reason welcome --idempotency-key one"),
    ("credits.adjust", "credits adjust acme -1 --reason twice"),
    ("credits.refund", "credits refund {entry} 2 --reason back"),
    ("credits.release", "credits release {holder}"),
]
IN_TESTS_OF_THEIR_OWN = {
    "apply", "backup", "import-legacy", "operators appoint", "operators dismiss", "services callback-secret", "services import",
    "users erase", "jobs run", "jobs retry",
}  # fmt: skip
BY_THE_CLOCK = {"credits expire", "subscriptions sweep", "subscriptions roll"}
"""What a job does by itself; nobody decides anything."""
OF_THE_INSTALLATION = {"audit seal", "log-store adopt", "log-store off", "log-store rewind", "migrate", "restore"}
"""They change where things are stored, or write the audit itself."""
ONLY_LOOK = {
    "alerts list", "audit list", "audit verify", "credits balance", "credits holders", "credits ledger", "credits reconcile",
    "credits trace", "doctor", "export", "jobs failed", "jobs history", "jobs list", "keys list", "keys show",
    "log-store status", "logs explain", "logs list", "logs tail", "reports list", "reports show", "operations list", "operations price", "operations show", "operators list", "organizations list",
    "organizations list-overrides", "organizations show", "plans list", "plans show", "services list", "services show",
    "settings", "subscriptions list", "subscriptions show", "what-if",
}  # fmt: skip
PROCESSES = {"admin", "demo-upstream", "gateway", "jobs", "portal", "seed", "up"}


@pytest.fixture
def run(fresh_database_url):
    """A command's answer as JSON."""
    environment = {"DATABASE_URL": fresh_database_url, "KEY_PEPPERS": PEPPERS, "SECRET_KEYS": SECRETS}

    def run_(text):
        with ThreadPoolExecutor(1) as own:
            done = own.submit(CliRunner().invoke, app, [*text.split(), "--json"], env=environment).result()
        assert done.exit_code == 0, (text, done.output)
        return json.loads(done.stdout)

    return run_


@pytest.fixture
def fetch(fresh_database_url):
    def fetch_(query, *values):
        async def connected():
            connection = await asyncpg.connect(fresh_database_url)
            try:
                return await connection.fetch(query, *values)
            finally:
                await connection.close()

        return in_own_thread(connected)

    return fetch_


def test_each_change_is_one_entry_of_who_and_what(run, fetch):
    known, secrets = {}, []
    for verb, text in CHANGES:
        if "{holder}" in text:
            known["holder"] = str(uuid4())
            fetch("insert into credit_holder (id) values ($1)", known["holder"])
        seen = [row["id"] for row in fetch("select id from audit_entry")]
        made = run(text.format(**known))
        rows = fetch("select * from audit_entry where id <> all($1)", seen)
        assert [row["verb"] for row in rows] == [verb], text
        row = rows[0]
        assert row["actor_kind"] == "system", text
        assert row["actor_name"].startswith("paid-endpoint by "), text
        assert row["after"] or row["before"], text
        assert row["reason"], text
        if row["object_type"] == "subscription":
            assert fetch("select from subscription where id::text = $1", row["object_id"]), text
        if "--reason" in text:
            assert row["reason"] == text.rpartition("--reason ")[2].split()[0], text
        secrets += [made["key"]] if "key" in made else []
        named = {
            "operations create": ("operation", "id"),
            "keys create": ("key", "id"),
            "credits grant": ("entry", "id"),
        }
        name, field = named.get(" ".join(text.split()[:2]), (None, None))
        if name:
            known[name] = made[field]
    told = " ".join(row["told"] for row in fetch("select concat(before, after, object_name) as told from audit_entry"))
    assert secrets, "keys are printed once"
    assert not [secret for secret in secrets if secret in told]


def test_what_changed_nothing_leaves_no_entry(run, fetch):
    for text in ("plans create free --limit 100/hour", "organizations create --name Acme --plan free"):
        run(text)
    for text in (
        "organizations suspend acme", "organizations suspend acme", "plans change free --price-cents 0",
        "credits grant acme 5 --reason a --idempotency-key k", "credits grant acme 5 --reason a --idempotency-key k",
    ):  # fmt: skip
        run(text)
    verbs = [row["verb"] for row in fetch("select verb from audit_entry order by created_at")]
    assert verbs == ["plan.create", "organization.create", "organization.suspend", "credits.grant"]


def test_a_change_that_cannot_be_traced_is_not_made(run, fetch):
    run("plans create free --limit 100/hour")
    fetch("create function no() returns trigger language plpgsql as $$ begin raise exception 'no'; end $$")
    fetch("create trigger no before insert on audit_entry for each row execute function no()")
    with pytest.raises(AssertionError, match="The database refused: no"):
        run("organizations create --name Acme --plan free")
    assert fetch("select from organization") == []


def test_every_command_is_in_one_of_the_lists():
    changing = {" ".join(text.split()[:2]) for _, text in CHANGES}
    lists = (changing, IN_TESTS_OF_THEIR_OWN, BY_THE_CLOCK, OF_THE_INSTALLATION, ONLY_LOOK, PROCESSES)
    listed = [name for each in lists for name in each]
    assert len(listed) == len(set(listed))
    assert set(commands_of(typer.main.get_command(app))) - set(listed) == set()


def commands_of(group, before=""):
    for name in group.list_commands(None):
        command = group.get_command(None, name)
        full = f"{before}{name}"
        yield from commands_of(command, f"{full} ") if hasattr(command, "list_commands") else [full]
