"""`paid-endpoint import-legacy` as an operator runs it: reports, errors that name what is missing, and kill -9."""

import asyncio
import csv
import io
import json
import os
import secrets
import signal
import stat
import subprocess
import sys
from pathlib import Path

import asyncpg
import pytest

from domain import plans
from domain.limit_texts import parse_limits
from domain.migrating import ROOT
from tests.conftest import copy_template
from tests.databases import PEPPERS
from tests.legacy import Old, ddl, digest_of_tables, older_installation
from tests.legacy import lax as without_constraints

SECRET = "s3cr3t-of-the-old-one"


@pytest.fixture
def command(new, tmp_path: Path):
    environment = {
        **os.environ, "DATABASE_URL": new.url, "KEY_PEPPERS": PEPPERS, "PYTHONPATH": str(ROOT), "PORTAL_SIGN_UP_PLAN": "free",
    }  # fmt: skip

    def start(*arguments: str, **more: str) -> subprocess.Popen[str]:
        return subprocess.Popen(
            [sys.executable, "-m", "cli.main", "import-legacy", *arguments],
            cwd=tmp_path, env={**environment, **more}, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        )  # fmt: skip

    return start


def ended(process: subprocess.Popen[str]) -> tuple[int, str, str]:
    output, errors = process.communicate(timeout=100)
    return process.returncode, output, errors


def with_password(url: str, password: str = SECRET, **parts: str) -> str:
    scheme, _, rest = url.partition("://")
    address = rest.partition("@")[2]
    host, _, database = address.partition("/")
    user, host, database = parts.get("user", "postgres"), parts.get("host", host), parts.get("database", database)
    return f"{parts.get('scheme', scheme)}://{user}:{password}@{host}/{database}"


async def test_report_totals_and_json_say_the_same(old: Old, command, tmp_path: Path):
    await old.plan("basic")
    await old.client("=cmd()@example.com", name="=1+1")
    await old.key(await old.client(), "basic")
    await old.key(await old.client(), "basic", key_hash="zz" * 32)
    status, output, errors = ended(command(old.url, "--dry-run", "--report", "rows.csv", "--json"))
    assert status == 0, errors
    dry = json.loads(output)
    report = tmp_path / "rows.csv"
    first = report.read_text()
    assert stat.S_IMODE(report.stat().st_mode) == 0o600
    status, output, errors = ended(command("--report", "rows.csv", "--json", LEGACY_DATABASE_URL=old.url))
    assert status == 0, errors
    done = json.loads(output)
    assert (dry["dry_run"], done["dry_run"], dry["totals"]) == (True, False, done["totals"])
    assert report.read_text() == first
    rows = list(csv.DictReader(io.StringIO(first)))
    sums = {}
    for row in rows:
        sums[row["table"], row["outcome"]] = sums.get((row["table"], row["outcome"]), 0) + 1
    totals = {
        (t["table"], t["outcome"]): t["rows"]
        for t in done["totals"]
        if not t["note"] and t["outcome"] != "not imported"
    }
    assert (
        sums
        == totals
        == {
            ("plans", "imported"): 1,
            ("clients", "imported"): 3,
            ("api_keys", "imported"): 1,
            ("api_keys", "skipped"): 1,
        }
    )
    assert [path.name for path in tmp_path.iterdir() if "rows" in path.name] == ["rows.csv"]
    status, output, errors = ended(command(old.url))
    assert status == 0
    assert "already there" in output
    assert "Done." in errors


@pytest.mark.parametrize(
    ("dsn", "said"),
    [
        ({"host": "127.0.0.1:9"}, "cannot be reached"),
        ({"host": "no-such-host.invalid:5432"}, "cannot be reached"),
        ({"database": f"no_such_{SECRET}", "password": "test"}, "no such database"),
        ({"user": "nobody"}, "refuses this user or password"),
        ({"scheme": "mysql"}, "cannot be read"),
        ({"host": f"127.0.0.1:{SECRET}"}, "cannot be read"),
    ],
    ids=["no server", "no host", "no database", "no user", "no scheme", "no port"],
)
async def test_a_wrong_dsn_is_told_without_its_password(server_urls, command, dsn, said):
    status, output, errors = ended(command(with_password(server_urls[0], **{"password": SECRET, **dsn})))
    assert status in {1, 2}
    assert said in errors
    assert SECRET not in output + errors
    assert "Traceback" not in errors


async def test_missing_tables_and_columns_are_all_named(server_urls, command):
    async with older_installation(server_urls[0]) as old:
        await old.connection.execute(
            "drop table request_logs, log_summaries; alter table api_keys drop plan_id; alter table plans drop daily_limit"
        )
        status, _, errors = ended(command(old.url))
    assert status == 1
    assert "the tables request_logs, log_summaries and the columns plans.daily_limit, api_keys.plan_id" in errors


async def test_a_user_that_may_not_read_is_told_what(old: Old, command):
    name = f"reader_{secrets.token_hex(4)}"
    await old.connection.execute(f"create user {name} password '{SECRET}'; grant select on clients, plans to {name}")
    try:
        status, output, errors = ended(command(with_password(old.url, user=name)))
        assert (status, output) == (1, "")
        assert "permission denied for table api_keys" in errors
        assert SECRET not in errors
    finally:
        await old.connection.execute(f"drop owned by {name}; drop user {name}")


@pytest.mark.parametrize(
    "arguments", [["--plan", "free"], ["--plan", "=x"], ["--source", "No Slug"], ["--limits-per", "person"]]
)
async def test_words_that_mean_nothing_are_usage_faults(old: Old, command, arguments):
    assert ended(command(old.url, *arguments))[0] == 2


async def test_a_report_that_cannot_be_written_is_told_before_anything_is_imported(old: Old, new, command):
    await old.plan("basic")
    status, _, errors = ended(command(old.url, "--report", "nowhere/rows.csv"))
    assert status == 2
    assert "cannot be written" in errors
    assert await new.connection.fetchval("select count(*) from legacy_row") == 0


FILL = """
insert into plans values ('basic', 'Basic', 1000, 10000);
insert into clients select md5('c' || n)::uuid, 'Firm ' || n % 400, 'p' || n || '@example.com' from generate_series(1, 3000) n;
insert into api_keys (key_id, client_id, plan_id, key_hash, key_prefix)
    select md5('k' || n)::uuid, md5('c' || (1 + n % 3000))::uuid, 'basic', encode(sha256(('sk_' || n)::bytea), 'hex'), 'sk_'
    from generate_series(1, 9000) n;
"""
STANDING = """
select md5(string_agg(row::text, '|' order by row::text)) from (
    select o.id, o.slug, o.name, p.slug, u.email, m.role, (select array_agg(k.id order by k.id) from api_key k where k.organization_id = o.id)
    from organization o left join membership m on m.organization_id = o.id left join users u on u.id = m.user_id
    left join subscription s on s.organization_id = o.id left join plan p on p.id = s.plan_id) row
"""


@pytest.mark.slow
async def test_killed_in_the_middle_it_goes_on_and_ends_as_if_undisturbed(
    old: Old, new, command, tmp_path: Path, server_urls
):
    await old.connection.execute(FILL)
    kills = 0
    for enough in (300, 1_200, 2_000):
        process = command(old.url, "--report", "rows.csv")
        while await new.connection.fetchval("select count(*) from organization") < enough:
            await asyncio.sleep(0.005)
            assert process.poll() is None, process.communicate()
        process.send_signal(signal.SIGKILL)
        process.communicate()
        kills += 1
        assert not (tmp_path / "rows.csv").exists(), "half a report was shown as a whole one"
    standing = await new.connection.fetchval("select count(*) from organization")
    assert standing < 3000, "it was never killed in the middle"
    status, _, errors = ended(command(old.url, "--report", "rows.csv"))
    assert status == 0, errors
    assert kills == 3
    counts = (
        "select (select count(*) from organization), (select count(*) from api_key), (select count(*) from legacy_row)"
    )
    assert tuple(await new.connection.fetchrow(counts)) == (3000, 9000, 12_001)
    rows = list(csv.DictReader(io.StringIO((tmp_path / "rows.csv").read_text())))
    assert len(rows) == 12_001
    assert {row["outcome"] for row in rows} == {"imported", "already there"}
    interrupted = await new.connection.fetchval(STANDING)
    stored = await digest_of_tables(new.connection)
    assert ended(command(old.url))[0] == 0
    assert await digest_of_tables(new.connection) == stored

    # The same once more, undisturbed, into a database beside it.
    other = await copy_template(server_urls[0], "undisturbed")
    connection = await asyncpg.connect(other)
    try:
        await plans.create(connection, slug="free", limits=parse_limits(["10/hour"]))
        assert ended(command(old.url, DATABASE_URL=other))[0] == 0
        assert await connection.fetchval(STANDING) == interrupted
    finally:
        await connection.close()
        await new.connection.execute("drop database undisturbed with (force)")


def test_the_lax_tables_of_tests_check_nothing():
    assert "primary key" not in without_constraints(ddl())
    assert "not null" not in without_constraints(ddl())
