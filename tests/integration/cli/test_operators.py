"""`paid-endpoint operators`: how an installation gets its first operator."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.portals import SECRETS

ROOT = Path(__file__).resolve().parents[3]


@pytest.fixture
def operators(fresh_database_url, tmp_path):
    environment = {
        **os.environ,
        "PYTHONPATH": str(ROOT),
        "DATABASE_URL": fresh_database_url,
        "SECRET_KEYS": SECRETS,
        "PORTAL_PUBLIC_URL": "https://app.example.com",
    }

    def run(*words):
        return subprocess.run(
            [sys.executable, "-m", "cli.main", "operators", *words],
            check=False, env=environment, cwd=tmp_path, capture_output=True, text=True, timeout=60,
        )  # fmt: skip

    return run


def test_the_first_operator_is_made_with_a_link_that_sets_a_password(operators):
    unknown = operators("appoint", "ada@example.com", "--role", "superuser")
    assert (unknown.returncode, "--create" in unknown.stderr) == (1, True)
    made = json.loads(operators("appoint", "Ada@Example.com", "--role", "superuser", "--create", "--json").stdout)
    assert made["set_password_link"].startswith("https://app.example.com/reset/")
    (listed,) = json.loads(operators("list", "--json").stdout)
    assert (listed["email"], listed["role"], listed["active"]) == ("ada@example.com", "superuser", False)
    assert json.loads(operators("dismiss", "ada@example.com", "--json").stdout)["role"] is None
