"""A wrong setting ends every command with one sentence that names it, and never with its value or a traceback."""

import subprocess
import sys
from pathlib import Path

import pytest
from typer.testing import CliRunner

from cli.main import app

ROOT = Path(__file__).resolve().parents[3]
WRONG = [
    ("KEY_PEPPERS", "1:hunter2", "not hexadecimal"),
    ("DATABASE_URL", "mysql://me:hunter2@host/db", "must begin with postgresql://"),
    ("REDIS_URL", "hunter2", "must begin with redis://"),
    ("GATEWAY_PORT", "hunter2", "valid integer"),
    ("GATEWAY_TRUSTED_PROXIES", "hunter2", "is no network"),
    ("PORT_OFFSET", "50001", "less than or equal"),
]


@pytest.mark.parametrize("command", [["settings"], ["gateway"], ["up"], ["doctor"], ["keys", "list"], ["migrate"]])
@pytest.mark.parametrize(("name", "value", "what"), WRONG)
def test_a_wrong_setting_is_named_and_its_value_is_not(monkeypatch, command, name, value, what):
    monkeypatch.setenv(name, value)
    result = CliRunner().invoke(app, command)
    assert result.exit_code == 1
    assert isinstance(result.exception, SystemExit)
    assert name in result.output
    assert what in result.output
    assert "hunter2" not in result.output


def test_ports_end_at_65535(monkeypatch):
    monkeypatch.setenv("GATEWAY_PORT", "60000")
    monkeypatch.setenv("PORT_OFFSET", "50000")
    result = CliRunner().invoke(app, ["gateway"])
    assert result.exit_code == 1
    assert "PORT_OFFSET" in result.output


def test_a_worker_that_rereads_a_bad_secret_does_not_quote_it(monkeypatch):
    monkeypatch.setenv("KEY_PEPPERS", "1:hunter2")
    run = [sys.executable, "-c", "from domain.settings import load_settings; load_settings()"]
    result = subprocess.run(run, cwd=ROOT, capture_output=True, text=True, check=False, timeout=30)
    assert "not hexadecimal" in result.stderr
    assert "hunter2" not in result.stderr
