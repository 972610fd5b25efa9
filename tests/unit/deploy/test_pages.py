"""Commands, settings and metrics that the pages for operators name exist."""

import re

import pytest
import typer

from cli.main import COMMANDS, app
from cli.setting_rows import setting_rows
from domain.settings import load_settings
from gateway.metric_texts import TEXTS
from tests.deploy import METRIC, ROOT

PAGES = [
    "runbook.md",
    "upgrading.md",
    "data-protection.md",
    "deploy/README.md",
    "decisions/0049-a-backup-is-rows-and-a-manifest.md",
]
SETTINGS = {row.name for row in setting_rows(load_settings())}
COMING = {"admin", "jobs"} - set(COMMANDS)
OURS = re.compile(r"\b(?:GATEWAY|KEY|JOURNAL|PORTAL|ADMIN|JOBS|DATABASE|REDIS|LOG|SECRET|MAIL)_[A-Z_]+\b")
CALLED = re.compile(
    r"`(?:paid-endpoint )?((?:backup|restore|credits|services|logs|doctor|migrate|audit|keys)(?: [^`]*)?)`"
)


def text_of(page):
    return (ROOT / "docs" / page).read_text()


@pytest.mark.parametrize("page", PAGES)
def test_settings_exist(page):
    assert set(OURS.findall(text_of(page))) - SETTINGS == set()


@pytest.mark.parametrize("page", PAGES)
def test_metrics_exist(page):
    names = {name.removeprefix("paid_endpoint_").removesuffix("_total") for name in METRIC.findall(text_of(page))}
    assert names <= set(TEXTS)


@pytest.mark.parametrize("page", PAGES)
def test_commands_exist_with_their_options(page):
    root = typer.main.get_command(app)
    for called in CALLED.findall(text_of(page)):
        name, *words = called.split()
        command = root.get_command(None, name)
        assert command is not None, called
        if hasattr(command, "commands"):
            assert words, called
            command = command.commands[words.pop(0)]
        known = {option for parameter in command.params for option in (*parameter.opts, *parameter.secondary_opts)}
        assert {word for word in words if word.startswith("--")} <= known, called


@pytest.mark.parametrize("command", sorted(set(re.findall(r"`paid-endpoint ([a-z-]+)", "".join(map(text_of, PAGES))))))
def test_every_command_that_is_named_is_one(command):
    assert command in COMMANDS or command in COMING
