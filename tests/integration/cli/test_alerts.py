"""`paid-endpoint alerts` as operators and their scripts use it."""

import json
import os
import subprocess
import sys
from pathlib import Path

import asyncpg
import pytest

ROOT = Path(__file__).resolve().parents[3]


@pytest.fixture
def alerts(fresh_database_url, tmp_path):
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "DATABASE_URL": fresh_database_url}

    def run(*words):
        return subprocess.run(
            [sys.executable, "-m", "cli.main", "alerts", *words],
            check=False, env=environment, cwd=tmp_path, capture_output=True, text=True, timeout=60,
        )  # fmt: skip

    return run


async def test_alerts_are_listed_for_people_and_programs(alerts, fresh_database_url):
    assert json.loads(alerts("list", "--json").stdout) == []
    connection = await asyncpg.connect(fresh_database_url)
    await connection.execute(
        "insert into alert_state (kind, subject, name, level, value, threshold, since, raised_level, raised_at) values"
        " ('error_rate', 'a', 'Weather', 100, 5, 22, now(), 100, now()),"
        " ('day_cost', 'b', 'all organizations', 0, 7, 7, now(), 100, now()),"
        " ('usage', 'c', 'month', 80, 8, 10, now() - interval '1 hour', 80, now())"
    )
    await connection.close()
    rows = json.loads(alerts("list", "--json").stdout)
    assert [(row["kind"], row["name"], row["level"], row["value"], row["threshold"]) for row in rows] == [
        ("error_rate", "Weather", 100, 5, 22),
        ("usage", "month", 80, 8, 10),
    ]
    assert [row["kind"] for row in json.loads(alerts("list", "--of", "customers", "--json").stdout)] == ["usage"]
    (ended,) = json.loads(alerts("list", "--ended", "--json").stdout)
    assert (ended["kind"], ended["level"], ended["raised_level"]) == ("day_cost", 0, 100)
    table = alerts("list")
    assert table.returncode == 0
    assert "Weather" in table.stdout


@pytest.mark.parametrize(
    ("words", "status", "why"),
    [
        (("list", "--organization", "nobody"), 1, "nobody"),
        (("list", "--of", "anybody"), 2, "anybody"),
        (("list", "--most", "0"), 2, "equal to 1"),
    ],
)
def test_what_cannot_be_is_said(alerts, words, status, why):
    done = alerts(*words)
    assert done.returncode == status
    assert why in done.stderr
