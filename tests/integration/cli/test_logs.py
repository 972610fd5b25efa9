import contextlib
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.gateways import connected
from tests.snapshots import log_row, store

ROOT = Path(__file__).resolve().parents[3]


@pytest.fixture
def environment(fresh_database_url):
    return {**os.environ, "PYTHONPATH": str(ROOT), "DATABASE_URL": fresh_database_url}


def command(*words):
    return [sys.executable, "-m", "cli.main", "logs", *words]


def run(environment, tmp_path, *words):
    return subprocess.run(
        command(*words), check=False, env=environment, cwd=tmp_path, capture_output=True, text=True, timeout=60
    )


async def test_list_as_json_by_request_id_and_status(fresh_database_url, environment, tmp_path):
    row = log_row(status=429, outcome="refused", refusal="rate_limited", limit_name="hour")
    async with connected(fresh_database_url) as connection:
        await store(connection, [row, log_row()])
    found = json.loads(run(environment, tmp_path, "list", "--request-id", str(row.id), "--json").stdout)
    assert [(entry["id"], entry["status"], entry["limit_name"]) for entry in found] == [(str(row.id), 429, "hour")]
    assert len(json.loads(run(environment, tmp_path, "list", "--status", "4xx", "--since", "5m", "--json").stdout)) == 1
    lines = run(environment, tmp_path, "list").stdout.splitlines()
    assert len(lines) == 3
    assert "rate_limited (hour)" in "".join(lines)


@pytest.mark.parametrize(
    ("words", "status", "says"),
    [
        (["--organization", "nobody"], 1, "nobody"),
        (["--status", "9"], 2, "429 or 4xx"),
        (["--since", "soon"], 2, "duration"),
        (["--request-id", "x"], 2, "x"),
    ],
)
def test_what_is_wrong_is_said_with_the_right_status(environment, tmp_path, words, status, says):
    done = run(environment, tmp_path, "list", *words)
    assert done.returncode == status
    assert says in done.stderr


@pytest.fixture
def ctrl_c_is_heard():
    """As in a terminal: where the tests were started in the background, children would be born deaf to it."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


@contextlib.contextmanager
def tailing(environment, tmp_path):
    """`logs tail` in a process of its own, which does not outlive the block."""
    with subprocess.Popen(
        command("tail", "--json"), env=environment, cwd=tmp_path, stdout=subprocess.PIPE, stderr=subprocess.PIPE
    ) as tail:
        try:
            yield tail
        finally:
            tail.kill()


async def test_tail_shows_a_row_within_two_seconds_and_ctrl_c_ends_it_well(
    fresh_database_url, environment, tmp_path, ctrl_c_is_heard
):
    row = log_row()
    with tailing(environment, tmp_path) as tail:
        async with connected(fresh_database_url) as connection:
            deadline = time.monotonic() + 30
            active = (
                "select count(*) from pg_stat_activity"
                " where datname = current_database() and application_name = 'paid-endpoint logs tail'"
            )
            while not await connection.fetchval(active):
                assert time.monotonic() < deadline
            row.at = await connection.fetchval("select now() + interval '1 second'")
            await store(connection, [row])
        begun = time.monotonic()
        shown = json.loads(tail.stdout.readline())
        assert time.monotonic() - begun < 2
        assert shown["id"] == str(row.id)
        tail.send_signal(signal.SIGINT)
        assert tail.wait(10) == 0
        assert tail.stderr.read() == b""
