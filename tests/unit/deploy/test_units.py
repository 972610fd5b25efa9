"""The systemd units: forms, commands that exist, times that let a gateway drain."""

import configparser
import re
import shutil
import subprocess

import pytest
import typer

from cli.main import COMMANDS, app
from cli.setting_rows import setting_rows
from domain.settings import load_settings
from tests.deploy import DEPLOY

FILES = sorted((DEPLOY / "systemd").iterdir())
SERVICES = [file for file in FILES if file.suffix == ".service"]
COMING = {"admin", "jobs"} - set(COMMANDS)
HARDENED = ("NoNewPrivileges", "PrivateTmp", "PrivateDevices", "ProtectHome", "RestrictSUIDSGID")


class Unit(configparser.RawConfigParser):
    """Names keep their case; a name that stands twice in a section is a mistake."""

    def optionxform(self, optionstr):
        return optionstr


def read(file):
    unit = Unit(strict=True, delimiters=("=",), comment_prefixes=("#",), interpolation=None)
    unit.read_string(file.read_text())
    return unit


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.name)
def test_every_file_is_read_and_has_its_section(file):
    unit = read(file)
    wanted = {".service": "Service", ".timer": "Timer", ".target": "Install"}[file.suffix]
    assert wanted in unit.sections()
    assert set(unit.sections()) <= {"Unit", "Service", "Timer", "Install"}


@pytest.mark.parametrize("file", SERVICES, ids=lambda file: file.name)
def test_every_service_starts_a_command_that_exists_as_nobody_in_particular(file):
    service = read(file)["Service"]
    program, first, *rest = service["ExecStart"].split()
    assert program == "/opt/paid-endpoint/.venv/bin/paid-endpoint"
    assert first in COMMANDS or first in COMING
    if first not in COMING:
        typer.main.get_command(app).get_command(None, first).make_context(first, rest)
    assert service["User"] == "paid-endpoint"
    assert [service[name] for name in HARDENED] == ["yes"] * len(HARDENED)
    assert service["ProtectSystem"] == "strict"


@pytest.mark.parametrize("file", SERVICES, ids=lambda file: file.name)
def test_every_variable_that_is_set_is_a_setting(file):
    names = re.findall(r"\b([A-Z_]+)=", read(file)["Service"].get("Environment", ""))
    assert set(names) <= {row.name for row in setting_rows(load_settings())}


def test_the_gateway_may_drain_before_it_is_killed_and_reloads_by_hangup():
    service = read(DEPLOY / "systemd/paid-endpoint-gateway.service")["Service"]
    drained = int(re.search(r"GATEWAY_SHUTDOWN_SECONDS=(\d+)", service["Environment"])[1]) + 1 + 5
    assert int(service["TimeoutStopSec"]) > drained
    assert service["ExecReload"] == "/bin/kill -HUP $MAINPID"
    assert service["KillMode"] == "mixed"
    assert f"/var/lib/{service['StateDirectory']}" in service["Environment"]


@pytest.mark.parametrize("file", SERVICES, ids=lambda file: file.name)
def test_what_is_started_again_is_so_without_end(file):
    unit = read(file)
    if unit["Service"].get("Restart") == "always":
        assert unit["Unit"]["StartLimitIntervalSec"] == "0"


def test_backups_do_not_fill_the_disk():
    service = read(DEPLOY / "systemd/paid-endpoint-backup.service")["Service"]
    _, _, arguments = service["ExecStart"].partition(" backup ")
    assert arguments == f"{service['ReadWritePaths']} --keep-days 30"


def test_the_page_makes_what_the_units_need():
    page = (DEPLOY / "README.md").read_text()
    for file in SERVICES:
        service = read(file)["Service"]
        for needed in (service["WorkingDirectory"], service["EnvironmentFile"], service.get("ReadWritePaths", "")):
            assert needed in page
        assert f"useradd --system --home-dir {service['WorkingDirectory']}" in page


@pytest.mark.skipif(not shutil.which("systemd-analyze"), reason="systemd-analyze is not here")
def test_systemd_takes_them(tmp_path):
    for file in FILES:
        text = file.read_text().replace("/opt/paid-endpoint/.venv/bin/paid-endpoint", "/bin/true")
        (tmp_path / file.name).write_text(text)
    said = subprocess.run(
        ["systemd-analyze", "verify", "--recursive-errors=no", *sorted(map(str, tmp_path.iterdir()))],
        capture_output=True,
        text=True,
        check=False,
    )
    assert (said.returncode, said.stderr) == (0, "")
