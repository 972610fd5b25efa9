"""`paid-endpoint reports` as operators and their scripts use it."""

import csv
import io
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[3]


@pytest.fixture
def reports(fresh_database_url, tmp_path):
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "DATABASE_URL": fresh_database_url}

    def run(*words):
        return subprocess.run(
            [sys.executable, "-m", "cli.main", "reports", *words],
            check=False, env=environment, cwd=tmp_path, capture_output=True, text=True, timeout=60,
        )  # fmt: skip

    return run


def test_a_report_is_a_table_csv_or_json(reports):
    listed = json.loads(reports("list", "--json").stdout)
    assert {"slug": "funnel", "parameters": ["window"]}.items() <= {row["slug"]: row for row in listed}[
        "funnel"
    ].items()
    table = reports("show", "funnel", "--window", "90d")
    assert table.returncode == 0, table.stderr
    assert "Signed up" in table.stdout
    assert table.stderr.startswith("Funnel. Organizations that were made from ")
    lines = list(csv.reader(io.StringIO(reports("show", "funnel", "--csv").stdout)))
    assert lines[0] == ["step", "organizations", "of_all", "of_previous"]
    assert lines[1][:2] == ["Signed up", "0"]
    report = json.loads(reports("show", "funnel", "--json").stdout)
    assert (report["slug"], report["rows"][0]) == ("funnel", ["Signed up", 0, None, None])


@pytest.mark.parametrize(
    ("words", "status", "why"),
    [
        (("show", "nonsense"), 1, "There is no report"),
        (("show", "funnel", "--window", "2d"), 2, "There is no such window"),
        (("show", "funnel", "--organization", "acme"), 2, "takes no --organization"),
        (("show", "system-health", "--from", "2026-01-01"), 2, "takes no --from"),
        (("show", "top-organizations", "--organization", "nobody"), 2, "There is no such organization"),
        (("show", "funnel", "--csv", "--json"), 2, "Take --csv or --json"),
    ],
)
def test_what_cannot_be_shown_is_told(reports, words, status, why):
    ended = reports(*words)
    assert (ended.returncode, ended.stdout) == (status, "")
    assert why in ended.stderr
