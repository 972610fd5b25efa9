"""Asynchronous operations on the command line: declared, bounded, and what their upstream signs its callbacks with."""

import json
import os
import subprocess
import sys
from pathlib import Path

import asyncpg
import pytest

from tests.portals import SECRETS

ROOT = Path(__file__).resolve().parents[3]


@pytest.fixture
def command(fresh_database_url, tmp_path):
    environment = {
        **os.environ,
        "PYTHONPATH": str(ROOT),
        "DATABASE_URL": fresh_database_url,
        "SECRET_KEYS": SECRETS,
    }

    def run(*words):
        return subprocess.run(
            [sys.executable, "-m", "cli.main", *words],
            check=False, env=environment, cwd=tmp_path, capture_output=True, text=True, timeout=60,
        )  # fmt: skip

    return run


async def test_an_operation_is_declared_and_its_services_secret_is_printed_and_rotated(command, fresh_database_url):
    def data(*words):
        done = command(*words, "--json")
        assert done.returncode == 0, done.stderr
        return json.loads(done.stdout)

    data("services", "create", "reports", "--prefix", "/reports", "--upstream", "http://127.0.0.1:9")
    bounded = data("services", "change", "reports", "--set", "job_concurrency=4", "--set", "job_timeout_seconds=900")
    assert (bounded["job_concurrency"], bounded["job_timeout_seconds"]) == (4, 900)
    wanted = ("--method", "POST", "--path", "/seasons", "--name", "season", "--credits", "2", "--asynchronous")
    assert data("operations", "create", "reports", *wanted)["asynchronous"] is True
    first = data("services", "callback-secret", "reports")
    assert first["secret"].startswith("whsec_")
    assert data("services", "callback-secret", "reports") == first
    new = data("services", "rotate-callback-secret", "reports", "--overlap-hours", "2", "--reason", "it leaked")
    assert new["secret"] != first["secret"]
    assert new["former_good_until"] is not None
    assert data("services", "callback-secret", "reports") == new
    connection = await asyncpg.connect(fresh_database_url)
    rows = await connection.fetch("select verb, reason, after::text from audit_entry where object_id = 'reports'")
    await connection.close()
    assert [row["verb"].partition(".")[2] for row in rows].count("show_callback_secret") == 3
    assert "it leaked" in [row["reason"] for row in rows]
    assert "whsec_" not in str([dict(row) for row in rows])


@pytest.mark.parametrize(
    ("words", "status", "said"),
    [
        (("services", "callback-secret", "nothing"), 1, "There is no service nothing"),
        (("services", "rotate-callback-secret", "nothing", "--overlap-hours", "169"), 2, "less than or equal"),
        (("services", "change", "nothing", "--set", "job_concurrency=many"), 2, "write a timeout or bound"),
    ],
    ids=["unknown", "too long", "no number"],
)
def test_what_cannot_be_is_told_on_one_line(command, words, status, said):
    done = command(*words)
    assert done.returncode == status
    assert said in done.stderr
