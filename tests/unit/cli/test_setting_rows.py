"""Settings as they are shown: complete, and without a secret."""

import json

import pytest
from typer.testing import CliRunner

from cli.main import app
from cli.setting_rows import redact, setting_rows
from domain.settings import load_settings


@pytest.mark.parametrize(
    ("secret", "shown"),
    [
        ("postgresql://me:hunter2@host:5432/db", "postgresql://me:***@host:5432/db"),
        (
            "postgresql://me@host/db?password=hunter2&sslmode=require",
            "postgresql://me@host/db?password=***&sslmode=require",
        ),
        ("redis://:hunter2@host/0", "redis://:***@host/0"),
        ("redis://host/0", "redis://host/0"),
        ("1:abcdef", "***"),
        ("", ""),
    ],
)
def test_redaction_keeps_what_helps_and_drops_what_is_secret(secret, shown):
    assert redact(secret) == shown


def test_command_prints_no_secret(monkeypatch):
    monkeypatch.setenv("DATABASE_URL", "postgresql://me:hunter2@host/db")
    monkeypatch.setenv("KEY_PEPPERS", "1:" + "ab" * 32)
    for arguments in (["settings"], ["settings", "--json"]):
        result = CliRunner().invoke(app, arguments)
        assert result.exit_code == 0
        assert "hunter2" not in result.output
        assert "abab" not in result.output
    rows = {row["name"]: row for row in json.loads(CliRunner().invoke(app, ["settings", "--json"]).output)}
    assert rows["DATABASE_URL"]["value"] == "postgresql://me:***@host/db"
    assert not rows["DATABASE_URL"]["is_default"]
    assert rows["REDIS_TIMEOUT_MS"]["is_default"]


def test_port_offset_moves_every_port(monkeypatch):
    monkeypatch.setenv("PORT_OFFSET", "7")
    gateway = load_settings().gateway
    assert (gateway.port, gateway.internal_port) == (9997, 9998)
    monkeypatch.setenv("GATEWAY_INTERNAL_PORT", "0")
    assert load_settings().gateway.internal_port == 0


def test_every_row_has_a_name_a_person_can_set():
    assert all(row.name.isupper() for row in setting_rows(load_settings()))
