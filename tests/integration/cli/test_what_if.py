"""`paid-endpoint what-if` as operators and scripts run it."""

import json
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta

import asyncpg
import pytest
from typer.testing import CliRunner

from cli.main import app
from tests.histories import history_of, plan_of, sold_to


@pytest.fixture
async def run(fresh_database_url):
    """Runs the command in this process, on a database with one organization and its six requests of yesterday."""
    connection = await asyncpg.connect(fresh_database_url)
    history = await history_of(connection)
    await plan_of(connection, "starter", "10/hour")
    acme = await sold_to(connection, "starter", "Acme", credits_=10**9)
    yesterday = datetime.now(UTC).replace(hour=5, minute=0, second=0, microsecond=0) - timedelta(days=1)
    for number in range(6):
        history.ask(acme, yesterday + timedelta(seconds=number), cost_micro=100_000)
    await history.written()
    await connection.close()

    def invoke(*arguments, status=0, stdin=None):
        with ThreadPoolExecutor(1) as own:
            environment = {"DATABASE_URL": fresh_database_url}
            done = own.submit(CliRunner().invoke, app, ["what-if", *arguments], input=stdin, env=environment).result()
        assert done.exit_code == status, done.output
        return done

    return invoke


async def test_a_table_and_sentences_for_people(run):
    done = run("--plan", "starter", "--limit", "4/hour", "--price", "weather:forecast=0.2", "--days", "2")
    head, row = done.stdout.splitlines()
    assert head.split() == [
        "organization",
        "asked",
        "refused",
        "now",
        "refused",
        "draft",
        "by",
        "credits",
        "now",
        "credits",
        "draft",
        "difference",
    ]
    assert row.split() == ["acme", "6", "0", "2", "hour", "2", "0.6", "0.8", "+0.2"]
    assert "Refused: 0 now, 2 under the draft (0 in fact); 1 organizations more often." in done.stderr
    assert "Credits spent: 0.6 now, 0.8 under the draft (0.6 in fact); 0 organizations run out (0 now)." in done.stderr


async def test_json_and_csv_for_programs(run):
    found = json.loads(run("--plan", "starter", "--limit", "4/hour", "--days", "2", "--json").stdout)
    assert (found["draft"], found["rows"], found["totals"]["organizations"]) == ("starter", 6, 1)
    (acme,) = found["organizations"]
    assert (acme["draft"]["refused"], acme["refused_difference"]) == ({"least": 2, "most": 2}, {"least": 2, "most": 2})
    assert [limit["name"] for limit in acme["limits"]] == ["hour"]
    assert len(acme["samples"]) == 2
    lines = run("--plan", "starter", "--limit", "4/hour", "--days", "2", "--csv").stdout.splitlines()
    assert [line.split(",")[0] for line in lines] == ["organization", "acme"]


async def test_a_draft_from_a_file(run, tmp_path):
    file = tmp_path / "plan.yaml"
    file.write_text("plans: {premium: {limits: {hour: 3/hour}}}\n")
    found = json.loads(run("--file", str(file), "--on-plan", "starter", "--days", "2", "--json").stdout)
    assert (found["draft"], found["totals"]["draft"]["refused"]["most"]) == ("premium", 3)
    everybody = json.loads(run("--file", "-", "--everybody", "--days", "2", "--json", stdin=file.read_text()).stdout)
    assert everybody["totals"] == found["totals"]
    nobody = run("--file", str(file), "--days", "2")
    assert nobody.stdout == "None.\n"


async def test_mistakes_end_with_a_sentence(run, tmp_path):
    assert run(status=2).stderr == "Error: Give the --plan that the draft begins with, or a --file with one.\n"
    assert "There is no plan startr. Did you mean starter?" in run("--plan", "startr", status=1).stderr
    assert "is no limit" in run("--plan", "starter", "--limit", "5/fortnight", status=2).stderr
    assert "There is no organization bolt." in run("--plan", "starter", "--organization", "bolt", status=1).stderr
    assert "one of --csv and --json" in run("--plan", "starter", "--csv", "--json", status=2).stderr
    file = tmp_path / "plan.yaml"
    file.write_text("plans: {starter: {limts: {}}}\n")
    assert "1:19: A plan has no limts. Did you mean limits?" in run("--file", str(file), status=2).stderr
