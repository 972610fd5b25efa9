"""`services callback-secret` and `operations --asynchronous`, as operators run them."""

import json
import secrets
from concurrent.futures import ThreadPoolExecutor

import pytest
from typer.testing import CliRunner

from cli.main import app
from tests.async_jobs import SECRET_KEYS
from tests.databases import PEPPERS


@pytest.fixture(scope="module")
def data(database_url):
    """Runs a command in this process; what it prints as JSON."""

    def run(*arguments, status=0):
        environment = {"DATABASE_URL": database_url, "KEY_PEPPERS": PEPPERS, "SECRET_KEYS": SECRET_KEYS}
        with ThreadPoolExecutor(1) as own:
            done = own.submit(CliRunner().invoke, app, (*arguments, "--json"), env=environment).result()
        assert done.exit_code == status, done.output
        return json.loads(done.stdout) if status == 0 else done.output

    return run


@pytest.fixture
def service(data):
    slug = f"s{secrets.token_hex(6)}"
    data("services", "create", slug, "--prefix", f"/{slug}", "--upstream", "http://127.0.0.1:9")
    return slug


def test_the_secret_is_made_once_shown_again_and_changed(data, service):
    first = data("services", "callback-secret", service)
    assert first["secret"].startswith("whsec_")
    assert first["old_until"] is None
    assert data("services", "callback-secret", service) == first
    second = data("services", "callback-secret", service, "--rotate", "--overlap-hours", "1")
    assert second["secret"] != first["secret"]
    assert second["old_until"] is not None
    assert data("services", "callback-secret", service)["secret"] == second["secret"]


def test_what_cannot_be_is_refused(data, service):
    assert "no service" in data("services", "callback-secret", "nobody", status=1)
    assert "7 days" in data("services", "callback-secret", service, "--rotate", "--overlap-hours", "169", status=2)


def test_the_secret_is_nowhere_in_the_service(data, service):
    secret = data("services", "callback-secret", service)["secret"]
    assert secret not in json.dumps(data("services", "show", service))


def test_operations_are_asynchronous_and_services_have_places(data, service):
    made = data(
        "operations", "create", service, "--method", "POST", "--path", "/x", "--name", "x", "--credits", "1",
        "--asynchronous",
    )  # fmt: skip
    assert made["asynchronous"] is True
    assert data("operations", "change", made["id"], "--synchronous")["asynchronous"] is False
    changed = data("services", "change", service, "--set", "job_concurrency=3", "--set", "job_timeout_seconds=60")
    assert (changed["job_concurrency"], changed["job_timeout_seconds"]) == (3, 60)
    data("services", "change", service, "--set", "job_timeout_seconds=0", status=2)
