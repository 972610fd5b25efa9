"""`jobs list run history failed retry`, as operators and scripts run them, without a worker."""

import json

import asyncpg
import pytest
from typer.testing import CliRunner

from cli.main import app
from jobs.registry import JOBS
from tests.conftest import copy_template, in_own_thread
from tests.databases import PEPPERS


@pytest.fixture(scope="module")
def database(server_urls, worker_number):
    return in_own_thread(lambda: copy_template(server_urls[0], f"job_commands_{worker_number}"))


@pytest.fixture(scope="module")
def command(database):
    environment = {"DATABASE_URL": database, "KEY_PEPPERS": PEPPERS, "REDIS_URL": "redis://127.0.0.1:1/0"}

    def run(*arguments, status=0):
        done = CliRunner().invoke(app, ["jobs", *arguments], env=environment)
        assert done.exit_code == status, done.output
        return done

    return run


@pytest.fixture(scope="module")
def data(command):
    return lambda *arguments, status=0: json.loads(command(*arguments, "--json", status=status).stdout)


def execute(database, statement, *values):
    async def run():
        connection = await asyncpg.connect(database)
        try:
            return await connection.fetchval(statement, *values)
        finally:
            await connection.close()

    return in_own_thread(run)


def test_a_job_runs_here_and_is_listed_with_its_run(data, command):
    done = data("run", "log-summaries", "--day", "2026-11-20", "--here")
    assert (done["state"], done["attempt"], done["arguments"]) == ("succeeded", 1, {"day": "2026-11-20"})
    assert done["result"] == {"days": 1, "rows": 0, "summaries_written": 0}
    assert done["requested_by"].startswith("paid-endpoint by ")
    listed = {job["name"]: job for job in data("list")}
    assert listed.keys() == {job.name for job in JOBS}
    assert listed["log-summaries"]["state"] == "succeeded"
    assert listed["log-summaries"]["median_seconds"] is not None
    assert listed["subscriptions"]["state"] is None
    assert all(job["next"] for job in listed.values())
    assert [run["id"] for run in data("history", "log-summaries")] == [done["id"]]
    assert data("history", "log-summaries", "--state", "failed") == []
    assert "log-summaries" in command("list").stdout
    assert "succeeded" in command("run", "key-hygiene", "--here").stdout


def test_a_drift_of_the_ledger_is_a_run_that_failed_and_can_be_tried_again(data, command, database):
    organization = execute(database, "insert into organization (slug, name) values ('x', 'x') returning id")
    execute(database, "insert into credit_account (organization_id) values ($1)", organization)
    execute(database, "alter table credit_account disable trigger all")
    execute(
        database,
        "update credit_account set balance_micro = 5, bonuses_micro = 5 where organization_id = $1",
        organization,
    )
    failed = data("run", "ledger-reconciliation", "--here", status=1)
    assert (failed["state"], failed["attempt"]) == ("failed", 1)
    assert "does not add up" in failed["error"]
    assert failed["result"]["drifts"] >= 1
    assert failed["result"]["first_drifts"][0]["organization"] == "x"
    assert [run["id"] for run in data("failed")] == [failed["id"]]
    again = data("retry", failed["id"], "--wait", "0", status=1)
    assert (again["state"], again["retry_of"]) == ("waiting", failed["id"])
    assert data("failed") == []
    assert "retried" in command("retry", failed["id"], status=1).stderr


def test_what_is_asked_wrongly_is_told(command):
    assert "There is no job" in command("run", "nonsense", "--here", status=1).stderr
    assert "2026-11-20" in command("run", "log-summaries", "--day", "yesterday", status=2).stderr
    assert "one day" in command("run", "subscriptions", "--day", "2026-11-20", status=2).stderr
    assert "There is no run" in command("retry", "0d5b2f7e-3d52-4a0e-9c9c-1a5f6b0f4a11", status=1).stderr


def test_without_a_worker_a_run_waits_and_says_so(command, data):
    done = command("run", "subscriptions", "--wait", "0", "--json", status=1)
    assert json.loads(done.stdout)["state"] == "waiting"
    assert "has not ended yet" in done.stderr


def test_plans_may_keep_logs_longer(database):
    def run(*arguments, status=0):
        done = CliRunner().invoke(app, arguments, env={"DATABASE_URL": database, "KEY_PEPPERS": PEPPERS})
        assert done.exit_code == status, done.output
        return done

    run("plans", "create", "long", "--limit", "1/hour", "--log-days", "30")
    assert json.loads(run("plans", "show", "long", "--json").stdout)["log_days"] == 30
    assert json.loads(run("plans", "change", "long", "--log-days", "0", "--json").stdout)["log_days"] is None
    assert "between 1 and 3650" in run("plans", "change", "long", "--log-days", "9999", status=2).stderr
