"""The process set of docker-compose.yml, started by hand: its commands, its environment, its Valkey, its health checks.

No engine runs here. In the place of the two images stand the embedded PostgreSQL and the embedded Valkey, the latter with
the file's own command; addresses and ports are substituted, nothing else. (`admin` and `jobs` as soon as they exist.)
"""

import os
import re
import shlex
import signal
import subprocess
import sys
import time
import urllib.request

import pytest

from cli.main import COMMANDS
from cli.supervisor.binaries import valkey_program
from tests.backups import ordinary_database
from tests.compose import VALUES, compose, image, seconds
from tests.gateways import ROOT, free_port
from tests.wire.upstream import RecordingUpstream

pytestmark = [pytest.mark.slow, pytest.mark.timeout(300)]
PROCESSES = [name for name in ("gateway", "portal", "admin", "jobs") if name in COMMANDS]


class Containers:
    """What the engine would run, as processes of this machine."""

    def __init__(self, folder, database_url):
        self.folder, self.database_url = folder, database_url
        self.services = compose(VALUES)["services"]
        self.ports = {name: free_port() for name in (*PROCESSES, "valkey", "metrics")}
        self.running = {}

    def environment(self, name):
        """Of a service: the image's, then the file's, with the addresses of the two stores and free ports."""
        own = {**image()["environment"], **self.services[name]["environment"]}
        state = self.folder / "state"
        own.update(dict.fromkeys(("PE_DATA_DIR", "GATEWAY_STATE_DIR"), str(state)))
        own["DATABASE_URL"] = self.database_url
        own["REDIS_URL"] = own["REDIS_URL"].replace("@valkey:6379", f"@127.0.0.1:{self.ports['valkey']}")
        own["PATH"] = os.environ["PATH"]
        own["PYTHONPATH"] = str(ROOT)
        own["GATEWAY_INTERNAL_PORT"] = str(self.ports["metrics"])
        return own | {f"{each.upper()}_PORT": str(self.ports[each]) for each in PROCESSES}

    def command(self, *arguments, name="gateway"):
        """The image's entrypoint with arguments, to its end."""
        done = subprocess.run(
            self._entry(arguments),
            env=self.environment(name),
            cwd=self.folder,
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    def start(self, name):
        """One service by its own command."""
        with (self.folder / f"{name}.log").open("wb") as log:
            self.running[name] = subprocess.Popen(
                self._entry(self.services[name]["command"]),
                env=self.environment(name),
                cwd=self.folder,
                stdout=log,
                stderr=log,
            )

    def start_valkey(self):
        """The file's command: `sh -c 'exec valkey-server ...'`, on another port and in another folder."""
        program = valkey_program(None)
        shell, option, script = self.services["valkey"]["command"]
        place = f"valkey-server --port {self.ports['valkey']} --bind 127.0.0.1 --dir {shlex.quote(str(self.folder))}"
        self.running["valkey"] = subprocess.Popen(
            [shell, option, script.replace("valkey-server", place)],
            env={"PATH": f"{program.parent}:{os.environ['PATH']}", **self.services["valkey"]["environment"]},
            stdout=subprocess.DEVNULL,
        )

    def is_healthy(self, name):
        """By the service's own health check."""
        way, *words = self.services[name]["healthcheck"]["test"]
        assert way == "CMD"
        words = [re.sub(r"127\.0\.0\.1:\d+", f"127.0.0.1:{self.ports[name]}", word) for word in words]
        words[0] = sys.executable if words[0] == "python" else words[0]
        return subprocess.run(words, capture_output=True, check=False).returncode == 0

    def stop(self, name):
        """As the engine does; the exit status. Raises TimeoutExpired where it would kill."""
        process = self.running.pop(name)
        process.send_signal(signal.SIGTERM)
        return process.wait(seconds(self.services[name].get("stop_grace_period", "10s")))

    def end(self):
        for process in self.running.values():
            process.kill()
            process.wait()

    def _entry(self, arguments):
        first, *rest = image()["entrypoint"]
        assert first == "python"
        return [sys.executable, *rest, *arguments]


@pytest.fixture
async def containers(server_urls, worker_number, tmp_path):
    async with ordinary_database(server_urls[0], f"compose_{worker_number}") as url:
        made = Containers(tmp_path, url)
        yield made
        made.end()


def healthy_within(containers, name, patience=90):
    deadline = time.monotonic() + patience
    while not containers.is_healthy(name):
        assert containers.running[name].poll() is None, (containers.folder / f"{name}.log").read_text()
        assert time.monotonic() < deadline, (containers.folder / f"{name}.log").read_text()
        time.sleep(0.2)


def get(url, **headers):
    with urllib.request.urlopen(urllib.request.Request(url, headers=headers), timeout=10) as answer:
        return answer.status, answer.read()


async def test_the_process_set_serves_and_stops_in_time(containers):
    containers.start_valkey()
    containers.command(*containers.services["migrate"]["command"], name="migrate")
    for name in PROCESSES:
        containers.start(name)
    for name in PROCESSES:
        healthy_within(containers, name)

    upstream = RecordingUpstream().start()
    try:
        containers.command("plans", "create", "starter", "--limit", "1000/hour")
        containers.command("organizations", "create", "--name", "Acme", "--plan", "starter")
        containers.command(
            "services", "create", "paid", "--prefix", "/paid", "--upstream", f"http://127.0.0.1:{upstream.port}"
        )
        made = containers.command("keys", "create", "--organization", "acme", "--name", "one", "--json")
        key = re.search(r"pe_live_\w+", made)[0]
        root = f"http://127.0.0.1:{containers.ports['gateway']}"
        time.sleep(1)
        assert get(f"{root}/paid/x", **{"X-API-Key": key})[0] == 200
        assert get(f"{root}/ready")[0] == 200
        assert b"paid_endpoint_workers 2.0" in get(f"http://127.0.0.1:{containers.ports['metrics']}/metrics")[1]
        assert get(f"http://127.0.0.1:{containers.ports['portal']}/sign-in", Host="app.example.com")[0] == 200
        said = subprocess.run(
            containers._entry(["doctor"]),
            env=containers.environment("gateway"),
            cwd=containers.folder,
            capture_output=True,
            text=True,
            check=False,
        )
        assert "fail " not in said.stdout, said.stdout
    finally:
        upstream.stop()
    # In time, and by themselves: uvicorn ends an orderly stop with the signal that asked for it.
    assert {containers.stop(name) for name in reversed(PROCESSES)} <= {0, -signal.SIGTERM}
